#include "doctor/version.h"

#include <algorithm>
#include <cctype>

namespace hearth::doctor {

Version::Version(std::string_view text) : text_(text) {
  const size_t plus = text.find('+');
  if (plus != text.npos) local_ = text.substr(plus + 1);
  for (size_t i = 0; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i]));) {
    int number = 0;
    for (; i < text.size() && std::isdigit(static_cast<unsigned char>(text[i])); ++i) {
      number = std::min(number, 99'999'999) * 10 + (text[i] - '0');
    }
    numbers_.push_back(number);
    if (i < text.size() && text[i] == '.') ++i;
  }
}

std::strong_ordering Version::operator<=>(const Version& other) const {
  for (size_t i = 0; i < std::max(numbers_.size(), other.numbers_.size()); ++i) {
    const int mine = i < numbers_.size() ? numbers_[i] : 0, theirs = i < other.numbers_.size() ? other.numbers_[i] : 0;
    if (mine != theirs) return mine <=> theirs;
  }
  return std::strong_ordering::equal;
}

}  // namespace hearth::doctor
