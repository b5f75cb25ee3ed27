// Content types by a file's extension, and which of them a browser would execute. Pure.
#pragma once
#include <filesystem>
#include <string_view>

namespace hearth::server {

/// "application/octet-stream" for what is not known. Text types carry their charset.
std::string_view media_type(const std::filesystem::path& file);
/// HTML, scripts, style sheets, SVG and other XML, mail: sent from a user's folder they could act as the server's page.
bool is_active_content(std::string_view type);
bool is_image_extension(std::string_view lower_extension);

}  // namespace hearth::server
