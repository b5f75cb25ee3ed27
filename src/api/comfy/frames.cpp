#include "api/comfy/frames.h"

#include "formats/json/json.h"

namespace hearth::comfy {
namespace {

constexpr uint32_t kPreview = 1, kText = 3, kPreviewWithMetadata = 4;
constexpr uint32_t kJpeg = 1, kPng = 2;

void put_u32(std::string& out, size_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out += static_cast<char>((value >> shift) & 0xff);
}

}  // namespace

std::string text_frame(std::string_view type, const Value& data) {
  return json::write(Value::object({{"type", type}, {"data", data}}));
}

std::string status_frame(int64_t queue_remaining, std::string_view sid) {
  Value data = Value::object(
      {{"status", Value::object({{"exec_info", Value::object({{"queue_remaining", queue_remaining}})}})}});
  if (!sid.empty()) data.set("sid", sid);
  return text_frame("status", data);
}

std::string preview_frame(std::string_view mime, std::string_view image) {
  std::string out;
  out.reserve(image.size() + 8);
  put_u32(out, kPreview);
  put_u32(out, mime == "image/png" ? kPng : kJpeg);
  return out += image;
}

std::string described_preview_frame(const Value& metadata, std::string_view image) {
  const std::string words = json::write(metadata);
  std::string out;
  out.reserve(image.size() + words.size() + 8);
  put_u32(out, kPreviewWithMetadata);
  put_u32(out, words.size());
  out += words;
  return out += image;
}

std::string node_text_frame(std::string_view node_id, std::string_view text) {
  std::string out;
  put_u32(out, kText);
  put_u32(out, node_id.size());
  out += node_id;
  return out += text;
}

Value feature_flags_of(std::string_view text) {
  auto parsed = json::parse(text);
  if (!parsed) return {};
  const Value* type = parsed->find("type");
  const Value* data = parsed->find("data");
  const bool is_flags = type && type->is_string() && type->as_string() == "feature_flags" && data && data->is_object();
  return is_flags ? *data : Value();
}

}  // namespace hearth::comfy
