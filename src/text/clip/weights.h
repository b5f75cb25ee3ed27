// Weights in a prompt as ComfyUI reads them: "(x)" is x at 1.1 times the weight around it, "(x:1.3)" at exactly 1.3,
// "\(" and "\)" are plain parentheses. There is no "[x]". Pure functions.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

struct WeightedText {
  std::string text;  // escapes resolved
  double weight = 1;
};

inline constexpr int kMaxWeightNesting = 500;

/// The stretches of `prompt` in order; texts may be empty. Throws Error{kInvalidArgument} when parentheses nest deeper
/// than kMaxWeightNesting.
std::vector<WeightedText> split_weights(std::string_view prompt);

/// A number as Python's float() reads it: spaces around, '_' between digits, "inf", "nan"; nothing when it is none.
std::optional<double> parse_python_float(std::string_view text);

/// White space as Python's str.split() and \s know it.
bool is_python_space(uint32_t code_point);

}  // namespace hearth::text
