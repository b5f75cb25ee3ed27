#include "server/files/media_type.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

namespace hearth::server {
namespace {

struct Known {
  std::string_view extension, type;
};

constexpr std::array kTypes = {
    Known{".html", "text/html; charset=utf-8"}, Known{".htm", "text/html; charset=utf-8"},
    Known{".xhtml", "application/xhtml+xml"}, Known{".js", "text/javascript; charset=utf-8"},
    Known{".mjs", "text/javascript; charset=utf-8"}, Known{".css", "text/css; charset=utf-8"},
    Known{".json", "application/json"}, Known{".map", "application/json"}, Known{".jsonl", "application/jsonl"},
    Known{".txt", "text/plain; charset=utf-8"}, Known{".md", "text/markdown; charset=utf-8"},
    Known{".csv", "text/csv; charset=utf-8"}, Known{".xml", "application/xml"}, Known{".eml", "message/rfc822"},
    Known{".svg", "image/svg+xml"}, Known{".png", "image/png"}, Known{".jpg", "image/jpeg"},
    Known{".jpeg", "image/jpeg"}, Known{".gif", "image/gif"}, Known{".webp", "image/webp"},
    Known{".avif", "image/avif"}, Known{".bmp", "image/bmp"}, Known{".ico", "image/x-icon"},
    Known{".tif", "image/tiff"}, Known{".tiff", "image/tiff"}, Known{".mp4", "video/mp4"},
    Known{".webm", "video/webm"}, Known{".mkv", "video/x-matroska"}, Known{".mov", "video/quicktime"},
    Known{".mp3", "audio/mpeg"}, Known{".wav", "audio/wav"}, Known{".flac", "audio/flac"},
    Known{".ogg", "audio/ogg"}, Known{".opus", "audio/ogg"}, Known{".glb", "model/gltf-binary"},
    Known{".woff", "font/woff"}, Known{".woff2", "font/woff2"}, Known{".ttf", "font/ttf"}, Known{".otf", "font/otf"},
    Known{".wasm", "application/wasm"}, Known{".pdf", "application/pdf"}, Known{".zip", "application/zip"},
    Known{".webmanifest", "application/manifest+json"},
};

}  // namespace

std::string_view media_type(const std::filesystem::path& file) {
  std::string extension = file.extension().string();
  std::transform(extension.begin(), extension.end(), extension.begin(),
                 [](unsigned char c) { return std::tolower(c); });
  for (const Known& known : kTypes) {
    if (known.extension == extension) return known.type;
  }
  return "application/octet-stream";
}

bool is_active_content(std::string_view type) {
  type = type.substr(0, type.find(';'));
  return type == "text/html" || type == "text/javascript" || type == "text/css" || type == "message/rfc822" ||
         type == "application/javascript" || type.ends_with("/xml") || type.ends_with("+xml");
}

bool is_image_extension(std::string_view extension) {
  for (std::string_view known : {".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp", ".gif"}) {
    if (known == extension) return true;
  }
  return false;
}

}  // namespace hearth::server
