// EXIF orientation: the one field of EXIF that changes how a picture looks.
#include <cstring>

#include "formats/image/codecs.h"

namespace hearth::image {
namespace {

class Tiff {
 public:
  explicit Tiff(std::string_view bytes) : bytes_(bytes), is_little_(bytes.starts_with("II")) {}

  bool has_header() const { return bytes_.size() >= 8 && (is_little_ || bytes_.starts_with("MM")) && u16(2) == 42; }

  /// 0 behind the end.
  uint32_t u16(size_t at) const { return read(at, 2); }
  uint32_t u32(size_t at) const { return read(at, 4); }

 private:
  uint32_t read(size_t at, size_t count) const {
    if (at > bytes_.size() || bytes_.size() - at < count) return 0;
    uint32_t value = 0;
    for (size_t i = 0; i < count; ++i) {
      size_t place = is_little_ ? count - 1 - i : i;
      value = value << 8 | static_cast<unsigned char>(bytes_[at + place]);
    }
    return value;
  }
  std::string_view bytes_;
  bool is_little_;
};

}  // namespace

int exif_orientation(std::string_view exif) {
  constexpr uint32_t kOrientation = 0x0112, kShort = 3;
  constexpr size_t kEntryBytes = 12;
  Tiff tiff(exif);
  if (!tiff.has_header()) return 1;
  size_t directory = tiff.u32(4), entries = tiff.u16(directory);
  for (size_t i = 0; i < entries; ++i) {
    size_t entry = directory + 2 + i * kEntryBytes;
    if (entry + kEntryBytes > exif.size()) break;
    if (tiff.u16(entry) != kOrientation || tiff.u16(entry + 2) != kShort) continue;
    uint32_t value = tiff.u16(entry + 8);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

Picture upright(Picture picture, int orientation) {
  if (orientation <= 1 || orientation > 8) return picture;
  // Rows and columns change places from 5 on; the file's first row then is a side.
  bool is_turned = orientation >= 5;
  bool is_flipped_x = orientation == 2 || orientation == 3 || orientation == 6 || orientation == 7;
  bool is_flipped_y = orientation == 3 || orientation == 4 || orientation == 7 || orientation == 8;
  Picture out = is_turned ? make_picture(picture.height, picture.width, picture.channels)
                          : make_picture(picture.width, picture.height, picture.channels);
  auto channels = static_cast<size_t>(picture.channels);
  for (int y = 0; y < out.height; ++y) {
    for (int x = 0; x < out.width; ++x) {
      int u = is_flipped_x ? out.width - 1 - x : x, v = is_flipped_y ? out.height - 1 - y : y;
      const uint8_t* from = is_turned ? picture.row(u) + static_cast<size_t>(v) * channels
                                      : picture.row(v) + static_cast<size_t>(u) * channels;
      std::memcpy(out.row(y) + static_cast<size_t>(x) * channels, from, channels);
    }
  }
  return out;
}

}  // namespace hearth::image
