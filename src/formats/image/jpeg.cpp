// JPEG through libjpeg. Its errors jump, so every call that may fail runs in a step that owns nothing, as in png.cpp.
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <jerror.h>
#include <jpeglib.h>

#include "formats/image/codecs.h"

namespace hearth::image {
namespace {

// libjpeg's error state with the place to jump to.
struct Errors {
  jpeg_error_mgr base{};
  std::jmp_buf back{};
  char problem[JMSG_LENGTH_MAX] = {};
};

void on_error(j_common_ptr jpeg) {
  auto* errors = reinterpret_cast<Errors*>(jpeg->err);
  jpeg->err->format_message(jpeg, errors->problem);
  std::longjmp(errors->back, 1);
}

// A file that ends early is patched by libjpeg with grey; that is no picture anybody meant.
void on_message(j_common_ptr jpeg, int level) {
  if (level < 0 && jpeg->err->msg_code == JWRN_JPEG_EOF) on_error(jpeg);
}

// A progressive file may have any number of scans over the whole picture: few bytes, much work.
void on_progress(j_common_ptr jpeg) {
  constexpr int kMaxScans = 100;
  if (!jpeg->is_decompressor) return;
  if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number <= kMaxScans) return;
  auto* errors = reinterpret_cast<Errors*>(jpeg->err);
  std::snprintf(errors->problem, sizeof(errors->problem), "more than %d scans", kMaxScans);
  std::longjmp(errors->back, 1);
}

void set_up(Errors& errors) {
  jpeg_std_error(&errors.base);
  errors.base.error_exit = on_error;
  errors.base.emit_message = on_message;
}

template <class Step>
bool guarded(Errors& errors, Step step) {
  if (setjmp(errors.back)) return false;
  step();
  return true;
}

class Reader {
 public:
  Reader(std::string_view file, const Limits& limits) : file_(file), limits_(limits) {
    set_up(errors_);
    jpeg_.err = &errors_.base;
    run([&] { jpeg_create_decompress(&jpeg_); });
    progress_.progress_monitor = on_progress;
    jpeg_.progress = &progress_;
  }
  Reader(const Reader&) = delete;
  ~Reader() { jpeg_destroy_decompress(&jpeg_); }

  Decoded read() {
    run([&] {
      jpeg_mem_src(&jpeg_, reinterpret_cast<const unsigned char*>(file_.data()), file_.size());
      jpeg_save_markers(&jpeg_, JPEG_APP0 + 1, 0xffff);
      jpeg_read_header(&jpeg_, TRUE);
    });
    check_size(Format::kJpeg, jpeg_.image_width, jpeg_.image_height, limits_);
    int turned = orientation();  // finishing forgets the markers
    bool is_cmyk = jpeg_.num_components == 4, is_grey = jpeg_.num_components == 1;
    jpeg_.out_color_space = is_cmyk ? JCS_CMYK : is_grey ? JCS_GRAYSCALE : JCS_RGB;
    Picture picture = make_picture(jpeg_.image_width, jpeg_.image_height, is_cmyk ? 4 : is_grey ? 1 : 3);
    int components = 0;
    run([&] {
      jpeg_start_decompress(&jpeg_);
      components = jpeg_.output_components;
    });
    if (components != picture.channels) corrupt(Format::kJpeg, fmt::format("{} components", components));
    run([&] {
      while (jpeg_.output_scanline < jpeg_.output_height) {
        JSAMPROW row = picture.row(static_cast<int>(jpeg_.output_scanline));
        jpeg_read_scanlines(&jpeg_, &row, 1);
      }
      jpeg_finish_decompress(&jpeg_);
    });
    if (is_cmyk) picture = to_rgb(picture);
    return {.format = Format::kJpeg, .picture = upright(std::move(picture), turned), .texts = {}};
  }

 private:
  template <class Step>
  void run(Step step) {
    if (!guarded(errors_, step)) corrupt(Format::kJpeg, errors_.problem);
  }

  // Pillow's conversion, which takes every file for inverted as Adobe writes them.
  static Picture to_rgb(const Picture& cmyk) {
    Picture rgb = make_picture(cmyk.width, cmyk.height, 3);
    const uint8_t* from = cmyk.samples.data();
    constexpr int kFlip = 255;
    for (size_t i = 0; i < rgb.samples.size(); i += 3, from += 4) {
      int light = 255 - (from[3] ^ kFlip);
      for (size_t c = 0; c < 3; ++c) {
        int product = (from[c] ^ kFlip) * light + 128;
        int value = light - (((product >> 8) + product) >> 8);
        rgb.samples[i + c] = static_cast<uint8_t>(value < 0 ? 0 : value);
      }
    }
    return rgb;
  }

  int orientation() const {
    constexpr std::string_view kHead("Exif\0\0", 6);
    for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker; marker = marker->next) {
      std::string_view data(reinterpret_cast<const char*>(marker->data), marker->data_length);
      if (data.starts_with(kHead)) return exif_orientation(data.substr(kHead.size()));
    }
    return 1;
  }

  std::string_view file_;
  const Limits& limits_;
  Errors errors_;
  jpeg_progress_mgr progress_{};
  jpeg_decompress_struct jpeg_{};
};

class Writer {
 public:
  Writer() {
    set_up(errors_);
    jpeg_.err = &errors_.base;
    run([&] { jpeg_create_compress(&jpeg_); });
  }
  Writer(const Writer&) = delete;
  ~Writer() {
    jpeg_destroy_compress(&jpeg_);
    std::free(buffer_);
  }

  std::string write(const Picture& picture, int quality) {
    run([&] {
      jpeg_mem_dest(&jpeg_, &buffer_, &size_);
      jpeg_.image_width = static_cast<JDIMENSION>(picture.width);
      jpeg_.image_height = static_cast<JDIMENSION>(picture.height);
      jpeg_.input_components = picture.channels;
      jpeg_.in_color_space = picture.channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
      jpeg_set_defaults(&jpeg_);
      jpeg_set_quality(&jpeg_, quality, TRUE);
      jpeg_start_compress(&jpeg_, TRUE);
      while (jpeg_.next_scanline < jpeg_.image_height) {
        auto* row = const_cast<uint8_t*>(picture.row(static_cast<int>(jpeg_.next_scanline)));
        jpeg_write_scanlines(&jpeg_, &row, 1);
      }
      jpeg_finish_compress(&jpeg_);
    });
    return {reinterpret_cast<const char*>(buffer_), size_};
  }

 private:
  template <class Step>
  void run(Step step) {
    if (!guarded(errors_, step)) throw Error(Code::kInvalidArgument, fmt::format("JPEG: {}", errors_.problem));
  }
  Errors errors_;
  jpeg_compress_struct jpeg_{};
  unsigned char* buffer_ = nullptr;
  unsigned long size_ = 0;
};

Picture without_alpha(const Picture& picture) {
  if (picture.channels == 4) return with_channels(picture, 3);
  Picture grey = make_picture(picture.width, picture.height, 1);
  for (size_t i = 0; i < grey.samples.size(); ++i) grey.samples[i] = picture.samples[2 * i];
  return grey;
}

}  // namespace

Decoded decode_jpeg(std::string_view file, const Limits& limits) { return Reader(file, limits).read(); }

std::string encode_jpeg(const Picture& picture, int quality) {
  check_picture(picture);
  if (quality < 0 || quality > 100) {
    throw Error(Code::kInvalidArgument, fmt::format("JPEG quality {}, expected 0 to 100", quality));
  }
  Writer writer;
  return picture.has_alpha() ? writer.write(without_alpha(picture), quality) : writer.write(picture, quality);
}

}  // namespace hearth::image
