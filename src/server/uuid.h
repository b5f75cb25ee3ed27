// Random names that nobody can guess or meet twice. Thread-safe.
#pragma once
#include <string>

namespace hearth::server {

std::string make_uuid();    // version 4: 0f8fad5b-d9cb-469f-a165-70867728950e
std::string make_hex_id();  // 32 hexadecimal digits

}  // namespace hearth::server
