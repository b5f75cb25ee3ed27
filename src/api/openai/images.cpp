#include "api/openai/images.h"

#include <charconv>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::openai {
namespace {

using api::FieldKind;
using ImageField = api::Field<ImageCall>;

constexpr int64_t kMaxSide = 16384, kMostPictures = 64, kMostAutoPictures = 8;

Result<void> set_size(ImageCall& call, const Value& v) {
  const std::string& text = v.as_string();
  if (text == "auto") return {};
  int64_t width = 0, height = 0;
  const char* end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, width);
  const bool has_x = first.ec == std::errc() && first.ptr != end && *first.ptr == 'x';
  const auto second = has_x ? std::from_chars(first.ptr + 1, end, height) : first;
  const bool is_size = has_x && second.ec == std::errc() && second.ptr == end;
  if (!is_size || width < 16 || height < 16 || width > kMaxSide || height > kMaxSide) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'size' is '{}': expected auto or WIDTHxHEIGHT, 16 to {} pixels a side, such as "
                                  "1024x1024", text, kMaxSide));
  }
  call.width = width;
  call.height = height;
  return {};
}

Result<void> set_count(ImageCall& call, const Value& v) {
  if (v.is_string() && v.as_string() == "auto") return call.is_auto_count = true, Result<void>();
  const bool is_count = v.is_integer() && v.as_double() >= 1 && v.as_double() <= kMostPictures;
  if (is_count) return call.n = v.as_int(), Result<void>();
  return unexpected(Code::kInvalidArgument, fmt::format("'n' must be an integer from 1 to {}, or \"auto\", got {}",
                                                        kMostPictures, json::write(v)));
}

Result<void> set_batch(ImageCall& call, const Value& v) {
  if (v.as_string() == "auto") return call.is_auto_count = true, Result<void>();
  return unexpected(Code::kInvalidArgument, fmt::format("'batch' is '{}': expected auto; n is the number of pictures",
                                                        v.as_string()));
}

Result<void> set_response_format(ImageCall& call, const Value& v) {
  const std::string& text = v.as_string();
  if (text != "b64_json" && text != "url") {
    return unexpected(Code::kInvalidArgument, fmt::format("'response_format' is '{}': expected b64_json or url", text));
  }
  call.wants_url = text == "url";
  return {};
}

Result<void> set_output_format(ImageCall& call, const Value& v) {
  const std::string& text = v.as_string();
  if (text != "png" && text != "jpeg" && text != "webp") {
    return unexpected(Code::kInvalidArgument, fmt::format("'output_format' is '{}': expected png, jpeg or webp", text));
  }
  call.format = text;
  return {};
}

Result<void> set_background(ImageCall&, const Value& v) {
  if (v.as_string() != "transparent") return {};
  return unexpected(Code::kUnsupported, "'background' transparent is not supported: the models draw opaque pictures");
}

Result<void> set_stream(ImageCall&, const Value& v) {
  if (!v.as_bool()) return {};
  return unexpected(Code::kUnsupported, "'stream' is not supported for pictures: the WebSocket /ws shows progress");
}

Result<void> set_seed(ImageCall& call, const Value& v) {
  const bool is_seed = v.is_integer() && (v.kind() == Value::Kind::kUint || v.as_int() >= 0);
  if (is_seed) return call.seed = v.as_uint(), Result<void>();
  return unexpected(Code::kInvalidArgument, "'seed' must be a whole number from 0 to 18446744073709551615");
}

template <auto Member>
Result<void> set_text(ImageCall& call, const Value& v) {
  return call.*Member = v.as_string(), Result<void>();
}
template <auto Member>
Result<void> set_whole(ImageCall& call, const Value& v) {
  return call.*Member = v.as_int(), Result<void>();
}

const ImageField kFields[] = {
    {{.name = "prompt", .kind = FieldKind::kString, .help = "what to draw", .is_required = true},
     set_text<&ImageCall::prompt>},
    {{.name = "model", .kind = FieldKind::kString, .help = "a checkpoint of GET /models/checkpoints",
      .fallback = "pictures.default_model"},
     set_text<&ImageCall::model>},
    {{.name = "n", .kind = FieldKind::kAny, .help = "pictures, drawn together: 1 to 64, or `auto`: as many as memory "
                                                    "holds, at most 8",
      .fallback = "1"},
     set_count},
    {{.name = "batch", .kind = FieldKind::kString, .help = "`auto`: as many as memory holds, at most `n`, or 8"},
     set_batch},
    {{.name = "size", .kind = FieldKind::kString, .help = "WIDTHxHEIGHT in pixels, or auto",
      .fallback = "auto: the model's own"},
     set_size},
    {{.name = "response_format", .kind = FieldKind::kString, .help = "b64_json, or url: an address below /view",
      .fallback = "b64_json"},
     set_response_format},
    {{.name = "output_format", .kind = FieldKind::kString, .help = "png, jpeg or webp", .fallback = "png"},
     set_output_format},
    {{.name = "output_compression", .kind = FieldKind::kInteger, .help = "quality of jpeg and webp",
      .fallback = "90", .min = 0, .max = 100},
     set_whole<&ImageCall::quality>},
    {{.name = "background", .kind = FieldKind::kString, .help = "auto or opaque; transparent is refused",
      .fallback = "auto"},
     set_background},
    {{.name = "stream", .kind = FieldKind::kBool, .help = "true is refused: progress is told over /ws",
      .fallback = "false"},
     set_stream},
    {{.name = "quality", .kind = FieldKind::kString, .help = "accepted and ignored; use steps or preset"}},
    {{.name = "style", .kind = FieldKind::kString, .help = "accepted and ignored"}},
    {{.name = "moderation", .kind = FieldKind::kString, .help = "accepted and ignored"}},
    {{.name = "user", .kind = FieldKind::kString, .help = "accepted and ignored"}},
    {{.name = "negative_prompt", .kind = FieldKind::kString, .help = "what not to draw", .fallback = "the preset's"},
     set_text<&ImageCall::negative>},
    {{.name = "preset", .kind = FieldKind::kString, .help = "one of [presets]", .fallback = "pictures.default_preset"},
     set_text<&ImageCall::preset>},
    {{.name = "seed", .kind = FieldKind::kAny, .help = "same seed, same picture",
      .fallback = "a random one, told in the answer"},
     set_seed},
    {{.name = "steps", .kind = FieldKind::kInteger, .help = "denoising steps", .fallback = "the preset's", .min = 1,
      .max = 10000},
     [](ImageCall& c, const Value& v) { return c.steps = v.as_int(), Result<void>(); }},
    {{.name = "cfg", .kind = FieldKind::kNumber, .help = "guidance scale", .fallback = "the preset's", .min = 0,
      .max = 100},
     [](ImageCall& c, const Value& v) { return c.cfg = v.as_double(), Result<void>(); }},
    {{.name = "sampler", .kind = FieldKind::kString, .help = "as ComfyUI names it", .fallback = "the preset's"},
     set_text<&ImageCall::sampler>},
    {{.name = "scheduler", .kind = FieldKind::kString, .help = "as ComfyUI names it", .fallback = "the preset's"},
     set_text<&ImageCall::scheduler>},
};

}  // namespace

int64_t ImageCall::count() const { return n.value_or(is_auto_count ? kMostAutoPictures : 1); }

Result<ImageCall> parse_image_call(std::string_view body, api::ParseNotes& notes) {
  Result<Value> value = json::parse(body);
  if (!value) return unexpected(value.error());
  ImageCall call;
  if (auto read = api::read_fields<ImageCall>(kFields, *value, call, notes); !read) return unexpected(read.error());
  return call;
}

Value image_reply(int64_t created_s, const std::vector<ImageItem>& images, uint64_t seed) {
  Value data = Value::list();
  for (const ImageItem& image : images) {
    data.push(image.url.empty() ? Value::object({{"b64_json", image.base64}}) : Value::object({{"url", image.url}}));
  }
  return Value::object({{"created", created_s}, {"data", std::move(data)}, {"seed", seed}});
}

std::string render_image_fields() {
  std::vector<api::FieldInfo> rows;
  for (const ImageField& field : kFields) rows.push_back(field.info);
  return api::render_markdown(rows);
}

}  // namespace hearth::openai
