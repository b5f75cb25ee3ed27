// What Python's str methods do, on UTF-8 text; shared by the methods and the filters built on them.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

enum class Side { kLeft, kRight, kBoth };

/// Cuts off white space, or the characters of `characters` when given.
std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> characters = {});

/// At runs of white space, leaving no empty parts; max_splits < 0 = all.
std::vector<std::string_view> split_space(std::string_view text, int64_t max_splits, bool from_right);
/// At every separator, which must not be empty.
std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t max_splits,
                                       bool from_right);
std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends = false);

/// Replaces at most `count` occurrences (all when negative); an empty `from` matches between all characters.
std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t count,
                         Budget& budget);

/// Spaces (or `fill`) around the text up to `width` code points, placed as str.center, ljust and rjust do.
std::string pad_text(const TextBox& text, Int width, Side side, std::string_view fill, Budget& budget);

}  // namespace hearth::text::jinja
