// Escapes of a Python string literal: \n \t \\ \' \" \xhh \ooo \uhhhh \Uhhhhhhhh; an unknown one stays as written.
#pragma once
#include <string>
#include <string_view>

namespace hearth::text::jinja {

/// `body` is what stands between the quotes; `line` is for the error of a broken escape.
std::string unescape_literal(std::string_view body, int line);

}  // namespace hearth::text::jinja
