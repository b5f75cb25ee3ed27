// The page at /: what runs here and how to call it. Self-contained: no file, no external resource.
#pragma once
#include <string>

namespace hearth::server {

std::string start_page();

}  // namespace hearth::server
