// PNG through libpng. Its errors jump, so every call that may fail runs in a step that owns nothing: guarded() runs a
// step and says whether it came back.
#include <csetjmp>
#include <cstring>
#include <limits>

#include <fmt/format.h>
#include <png.h>

#include "core/base/check.h"
#include "formats/image/codecs.h"

namespace hearth::image {
namespace {

constexpr size_t kMaxProblem = 160;

// What libpng's callbacks reach; plain data.
struct State {
  const char* input = nullptr;
  size_t left = 0;
  std::string* output = nullptr;
  char problem[kMaxProblem] = {};
};

void on_error(png_structp png, png_const_charp message) {
  auto* state = static_cast<State*>(png_get_error_ptr(png));
  std::strncpy(state->problem, message, kMaxProblem - 1);
  png_longjmp(png, 1);
}
void on_warning(png_structp, png_const_charp) {}

void read_bytes(png_structp png, png_bytep into, size_t size) {
  auto* state = static_cast<State*>(png_get_io_ptr(png));
  if (size > state->left) png_error(png, "the file ends too early");
  std::memcpy(into, state->input, size);
  state->input += size;
  state->left -= size;
}

void write_bytes(png_structp png, png_bytep from, size_t size) {
  auto* state = static_cast<State*>(png_get_io_ptr(png));
  bool is_written = true;
  try {
    state->output->append(reinterpret_cast<const char*>(from), size);
  } catch (...) {
    is_written = false;  // an exception must not cross C frames
  }
  if (!is_written) png_error(png, "no memory for the file");
}
void flush_bytes(png_structp) {}

template <class Step>
bool guarded(png_structp png, Step step) {
  if (setjmp(png_jmpbuf(png))) return false;
  step();
  return true;
}

class Reader {
 public:
  Reader(std::string_view file, const Limits& limits) : limits_(limits) {
    state_.input = file.data();
    state_.left = file.size();
    png_ = png_create_read_struct(PNG_LIBPNG_VER_STRING, &state_, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    check(info_ != nullptr, "libpng has memory for its state");
    png_set_read_fn(png_, &state_, read_bytes);
    set_limits();
  }
  Reader(const Reader&) = delete;
  ~Reader() { png_destroy_read_struct(&png_, &info_, nullptr); }

  Decoded read() {
    run([&] { png_read_info(png_, info_); });
    check_size(Format::kPng, png_get_image_width(png_, info_), png_get_image_height(png_, info_), limits_);
    run([&] { set_transforms(); });
    Decoded out{.format = Format::kPng, .picture = {}, .texts = {}};
    out.picture = make_picture(png_get_image_width(png_, info_), png_get_image_height(png_, info_),
                               png_get_channels(png_, info_));
    read_rows(out.picture);
    run([&] { png_read_end(png_, info_); });
    read_texts(out.texts);
    out.picture = upright(std::move(out.picture), orientation());
    return out;
  }

 private:
  template <class Step>
  void run(Step step) {
    if (!guarded(png_, step)) corrupt(Format::kPng, state_.problem);
  }

  void set_limits() {
    constexpr int kMaxChunks = 4096;
    png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);  // check_size() decides
    png_set_chunk_cache_max(png_, kMaxChunks);
    png_set_chunk_malloc_max(png_, static_cast<png_alloc_size_t>(limits_.max_text_bytes));
    // As other readers do, a wrong checksum of what is not the picture is no reason to refuse.
    png_set_crc_action(png_, PNG_CRC_ERROR_QUIT, PNG_CRC_WARN_DISCARD);
  }

  void set_transforms() {
    int type = png_get_color_type(png_, info_);
    png_set_strip_16(png_);
    if (type == PNG_COLOR_TYPE_PALETTE) {
      png_set_palette_to_rgb(png_);
      if (png_get_valid(png_, info_, PNG_INFO_tRNS)) png_set_tRNS_to_alpha(png_);
    }
    if (type == PNG_COLOR_TYPE_GRAY) png_set_expand_gray_1_2_4_to_8(png_);
    png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
  }

  void read_rows(Picture& picture) {
    check(png_get_rowbytes(png_, info_) == picture.row_bytes(), "libpng gives rows of 8-bit samples");
    std::vector<png_bytep> rows(static_cast<size_t>(picture.height));
    for (int y = 0; y < picture.height; ++y) rows[static_cast<size_t>(y)] = picture.row(y);
    png_bytepp first = rows.data();
    run([&] { png_read_image(png_, first); });
  }

  void read_texts(std::vector<TextEntry>& out) {
    png_textp texts = nullptr;
    int count = png_get_text(png_, info_, &texts, nullptr);
    int64_t total = 0;
    for (int i = 0; i < count; ++i) {
      const png_text& text = texts[i];
      bool is_utf8 = text.compression == PNG_ITXT_COMPRESSION_NONE || text.compression == PNG_ITXT_COMPRESSION_zTXt;
      std::string_view body(text.text, is_utf8 ? text.itxt_length : text.text_length);
      total += static_cast<int64_t>(body.size());
      if (total > limits_.max_text_bytes) {
        corrupt(Format::kPng, fmt::format("its texts have more than {} bytes", limits_.max_text_bytes));
      }
      out.push_back({from_latin1(text.key), is_utf8 ? std::string(body) : from_latin1(body)});
    }
  }

  static std::string from_latin1(std::string_view text) {
    std::string out;
    for (char c : text) {
      auto byte = static_cast<unsigned char>(c);
      if (byte < 0x80) {
        out.push_back(c);
      } else {
        out.push_back(static_cast<char>(0xC0 | byte >> 6));
        out.push_back(static_cast<char>(0x80 | (byte & 0x3F)));
      }
    }
    return out;
  }

  int orientation() {
    png_bytep exif = nullptr;
    png_uint_32 size = 0;
    if (!png_get_eXIf_1(png_, info_, &size, &exif)) return 1;
    return exif_orientation({reinterpret_cast<const char*>(exif), size});
  }

  const Limits& limits_;
  State state_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

// Latin-1 of a UTF-8 text, or nothing when a character lies outside it.
bool to_latin1(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    if (byte < 0x80) {
      out.push_back(text[i]);
    } else if ((byte == 0xC2 || byte == 0xC3) && i + 1 < text.size() && (text[i + 1] & 0xC0) == 0x80) {
      out.push_back(static_cast<char>((byte & 3) << 6 | (text[++i] & 0x3F)));
    } else {
      return false;
    }
  }
  return true;
}

// The texts of a file as libpng wants them; the strings live as long as this object.
class Texts {
 public:
  explicit Texts(const std::vector<TextEntry>& entries) {
    kept_.reserve(entries.size() * 2);
    for (const TextEntry& entry : entries) add(entry);
  }
  const std::vector<png_text>& list() const { return list_; }

 private:
  void add(const TextEntry& entry) {
    constexpr size_t kLongestKey = 79;
    std::string key;
    bool is_key = to_latin1(entry.key, key) && !key.empty() && key.size() <= kLongestKey && key.front() != ' ' &&
                  key.back() != ' ' && key.find("  ") == key.npos;
    for (char c : key) {
      auto byte = static_cast<unsigned char>(c);
      is_key = is_key && ((byte >= 0x20 && byte <= 0x7E) || byte >= 0xA1);
    }
    if (!is_key) {
      throw Error(Code::kInvalidArgument, fmt::format("'{}' is no keyword of a PNG text: 1 to {} printing Latin-1 "
                                                      "characters without spaces at the ends",
                                                      entry.key.substr(0, kLongestKey), kLongestKey));
    }
    if (entry.text.find('\0') != entry.text.npos || entry.text.size() > std::numeric_limits<int32_t>::max()) {
      throw Error(Code::kInvalidArgument, fmt::format("the text '{}' cannot be put in a PNG: it has a zero byte or "
                                                      "more than 2 GiB",
                                                      entry.key));
    }
    std::string plain;
    bool is_latin1 = to_latin1(entry.text, plain);
    if (!is_latin1) plain = entry.text;
    kept_.push_back(std::move(key));
    kept_.push_back(std::move(plain));
    png_text text{};
    text.compression = is_latin1 ? PNG_TEXT_COMPRESSION_NONE : PNG_ITXT_COMPRESSION_NONE;
    text.key = kept_[kept_.size() - 2].data();
    text.text = kept_.back().data();
    (is_latin1 ? text.text_length : text.itxt_length) = kept_.back().size();
    text.lang = nullptr;
    text.lang_key = nullptr;
    list_.push_back(text);
  }
  std::vector<std::string> kept_;
  std::vector<png_text> list_;
};

class Writer {
 public:
  explicit Writer(std::string& output) {
    state_.output = &output;
    png_ = png_create_write_struct(PNG_LIBPNG_VER_STRING, &state_, on_error, on_warning);
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    check(info_ != nullptr, "libpng has memory for its state");
    png_set_write_fn(png_, &state_, write_bytes, flush_bytes);
  }
  Writer(const Writer&) = delete;
  ~Writer() { png_destroy_write_struct(&png_, &info_); }

  void write(const Picture& picture, const PngOptions& options) {
    constexpr int kTypes[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGBA};
    Texts texts(options.texts);
    const std::vector<png_text>& list = texts.list();
    run([&] {
      png_set_user_limits(png_, 0x7fffffff, 0x7fffffff);
      png_set_compression_level(png_, options.level);
      png_set_IHDR(png_, info_, static_cast<png_uint_32>(picture.width), static_cast<png_uint_32>(picture.height), 8,
                   kTypes[picture.channels - 1], PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
                   PNG_FILTER_TYPE_DEFAULT);
      if (!list.empty()) png_set_text(png_, info_, list.data(), static_cast<int>(list.size()));
      png_write_info(png_, info_);
      for (int y = 0; y < picture.height; ++y) png_write_row(png_, picture.row(y));
      png_write_end(png_, nullptr);
    });
  }

 private:
  template <class Step>
  void run(Step step) {
    if (!guarded(png_, step)) throw Error(Code::kInvalidArgument, fmt::format("PNG: {}", state_.problem));
  }
  State state_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
};

}  // namespace

Decoded decode_png(std::string_view file, const Limits& limits) { return Reader(file, limits).read(); }

std::string encode_png(const Picture& picture, const PngOptions& options) {
  check_picture(picture);
  if (options.level < 0 || options.level > 9) {
    throw Error(Code::kInvalidArgument, fmt::format("PNG compression level {}, expected 0 to 9", options.level));
  }
  std::string out;
  Writer(out).write(picture, options);
  return out;
}

}  // namespace hearth::image
