// Pictures and other files of the input, output and temp folders: looked at, converted, uploaded.
#include <algorithm>
#include <utility>

#include "core/base/files.h"
#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "server/comfy_routes.h"
#include "server/files/contained_path.h"
#include "server/files/file_reply.h"
#include "server/files/media_type.h"
#include "server/http/multipart.h"

namespace hearth::server {
namespace {

constexpr int64_t kMaxPictureBytes = int64_t{512} << 20;
constexpr int kDefaultQuality = 90;

// "name [output]" names its folder too.
void split_annotation(std::string& name, std::string& type) {
  for (const char* known : {"output", "input", "temp"}) {
    const std::string suffix = std::string(" [") + known + "]";
    if (!name.ends_with(suffix)) continue;
    name.resize(name.size() - suffix.size());
    type = known;
    return;
  }
}

struct FoundFile {
  int status = 200;
  fs::path path;
  std::string name;
};

// The file a client means by name, subfolder and type; else the status that says why not.
FoundFile find_file(const workflow::Places& places, std::string name, const std::string& subfolder, std::string type) {
  split_annotation(name, type);
  const std::string* root = places.folder(type);
  if (name.empty() || name.starts_with('/') || name.find("..") != name.npos || !root) return {400, {}, {}};
  const auto folder = contained_path(*root, subfolder);
  if (!folder) return {403, {}, {}};
  name = name.substr(name.rfind('/') + 1);
  const auto path = contained_path(*folder, name);
  if (!path) return {403, {}, {}};
  if (!is_plain_name(name) || !fs::is_regular_file(*path)) return {404, {}, {}};
  return {200, *path, name};
}

http::HttpResponse picture_reply(std::string bytes, std::string_view type, std::string_view name) {
  http::HttpResponse out;
  out.content_type = type;
  out.headers.emplace_back("Content-Disposition", content_disposition("", name));
  out.body = std::move(bytes);
  return out;
}

// "webp;80" -> format and quality.
http::HttpResponse preview_reply(const image::Picture& picture, const std::string& preview, const std::string& channel,
                                 std::string_view name) {
  const size_t semicolon = preview.rfind(';');
  const bool has_alpha_channel = channel.find('a') != channel.npos;
  const bool is_jpeg = preview.substr(0, preview.find(';')) == "jpeg" && !has_alpha_channel;
  int quality = kDefaultQuality;
  const std::string digits = semicolon == preview.npos ? "" : preview.substr(semicolon + 1);
  if (!digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == digits.npos) {
    quality = std::min(std::stoi(digits), 100);
  }
  if (is_jpeg) return picture_reply(image::encode_jpeg(picture, quality), "image/jpeg", name);
  const bool drops_alpha = channel == "rgb";
  return picture_reply(image::encode_webp(drops_alpha ? image::with_channels(picture, 3) : picture,
                                          {.quality = static_cast<float>(quality)}),
                       "image/webp", name);
}

http::HttpResponse channel_reply(const image::Picture& picture, const std::string& channel, std::string_view name) {
  if (channel == "rgb") return picture_reply(image::encode_png(image::with_channels(picture, 3)), "image/png", name);
  image::Picture alpha = image::with_channels(picture, 4);
  for (size_t i = 0; i + 3 < alpha.samples.size(); i += 4) std::fill_n(alpha.samples.data() + i, 3, 0);
  return picture_reply(image::encode_png(alpha), "image/png", name);
}

// A page that a workflow or an upload wrote must not run with this server's rights.
http::HttpResponse plain_reply(const http::HttpRequest& request, const FoundFile& file) {
  std::string_view type = media_type(file.path);
  const bool is_svg_image = type == "image/svg+xml" && http::find_header(request.headers, "sec-fetch-dest") == "image";
  const bool is_active = is_active_content(type) && !is_svg_image;
  http::HttpResponse out = file_reply(request, file.path, is_active ? "application/octet-stream" : type);
  if (out.status == 404 || out.status == 413) return out;
  out.headers.emplace_back("Content-Disposition", content_disposition(is_active ? "attachment" : "", file.name));
  if (is_active_content(type)) {
    out.headers.emplace_back("Vary", "Sec-Fetch-Dest");
    out.headers.emplace_back("Cache-Control", "no-store");
  }
  return out;
}

http::HttpResponse view(ComfyParts& parts, const http::HttpRequest& request) {
  if (!http::has_query_value(request.query, "filename")) return text_reply(404, "");
  const FoundFile file = find_file(parts.backend.places(), http::query_value(request.query, "filename"),
                                   http::query_value(request.query, "subfolder"),
                                   http::query_value(request.query, "type", "output"));
  if (file.status != 200) return text_reply(file.status, "");
  const std::string preview = http::query_value(request.query, "preview");
  const std::string channel = http::query_value(request.query, "channel");
  const bool is_converted = !preview.empty() || channel == "rgb" || channel == "a";
  if (!is_converted) return plain_reply(request, file);
  try {
    const image::Decoded decoded = image::decode(read_text(file.path, kMaxPictureBytes).value());
    return preview.empty() ? channel_reply(decoded.picture, channel, file.name)
                           : preview_reply(decoded.picture, preview, channel, file.name);
  } catch (const Error&) {
    return plain_reply(request, file);  // no picture this server can convert; the client may still show it
  }
}

// ---- Uploads ----

struct UploadForm {
  std::string name, subfolder, type = "input";
  std::string_view bytes;
  bool overwrite = false;
};

std::string field(const std::vector<http::Part>& parts, std::string_view name, std::string_view fallback = "") {
  const http::Part* part = http::find_part(parts, name);
  return std::string(part ? part->data : fallback);
}

Result<UploadForm> upload_form(const std::vector<http::Part>& parts) {
  const http::Part* image = http::find_part(parts, "image");
  if (!image || !image->filename || image->filename->empty()) {
    return unexpected(Code::kInvalidArgument, "the form has no file named 'image'");
  }
  UploadForm out;
  out.name = *image->filename;
  out.bytes = image->data;
  out.subfolder = field(parts, "subfolder");
  out.type = field(parts, "type", "input");
  const std::string overwrite = field(parts, "overwrite");
  out.overwrite = overwrite == "true" || overwrite == "1";
  return out;
}

http::HttpResponse store(ComfyParts& parts, const UploadForm& form, std::string_view bytes) {
  const std::string* root = parts.backend.places().folder(form.type);
  if (!root) return text_reply(400, "type must be input, output or temp");
  auto path = parts.uploads.store(*root, form.subfolder, form.name, bytes, form.overwrite);
  if (!path) {
    const bool is_refusal = path.error().code() == Code::kInvalidArgument;
    return text_reply(is_refusal ? 400 : 500, path.error().message());
  }
  const fs::path folder = contained_path(*root, form.subfolder).value_or(*root);
  return json_reply(Value::object({{"name", path->lexically_relative(folder).generic_string()},
                                   {"subfolder", form.subfolder},
                                   {"type", form.type}}));
}

http::HttpResponse upload_image(ComfyParts& parts, const http::HttpRequest& request) {
  auto fields = http::parse_multipart(http::find_header(request.headers, "content-type"), request.body);
  if (!fields) return text_reply(400, fields.error().message());
  auto form = upload_form(*fields);
  return form ? store(parts, *form, form->bytes) : text_reply(400, form.error().message());
}

// The picture a mask is painted on: {"filename", "subfolder"?, "type"?}.
FoundFile original_of(const workflow::Places& places, const std::string& reference) {
  auto parsed = json::parse(reference);
  if (!parsed || !parsed->is_object()) return {400, {}, {}};
  auto text = [&](const char* name, const char* fallback) {
    const Value* value = parsed->find(name);
    return value && value->is_string() ? value->as_string() : std::string(fallback);
  };
  return find_file(places, text("filename", ""), text("subfolder", ""), text("type", "output"));
}

// The original with the alpha of the mask and its own text chunks.
std::string masked(const fs::path& original, std::string_view mask_bytes) {
  image::Decoded base = image::decode(read_text(original, kMaxPictureBytes).value());
  const image::Picture mask = image::with_channels(image::decode(mask_bytes).picture, 4);
  image::Picture out = image::with_channels(base.picture, 4);
  if (mask.width != out.width || mask.height != out.height) {
    throw Error(Code::kInvalidArgument, "the mask has another size than the picture");
  }
  for (size_t i = 3; i < out.samples.size(); i += 4) out.samples[i] = mask.samples[i];
  return image::encode_png(out, {.texts = std::move(base.texts)});
}

http::HttpResponse upload_mask(ComfyParts& parts, const http::HttpRequest& request) {
  auto fields = http::parse_multipart(http::find_header(request.headers, "content-type"), request.body);
  if (!fields) return text_reply(400, fields.error().message());
  auto form = upload_form(*fields);
  if (!form) return text_reply(400, form.error().message());
  // Some clients write the name in another case.
  const FoundFile original = original_of(parts.backend.places(),
                                         field(*fields, "original_ref", field(*fields, "originalRef")));
  if (original.status != 200) {
    return json_reply(Value::object({{"name", form->name}, {"subfolder", form->subfolder}, {"type", form->type}}));
  }
  try {
    return store(parts, *form, masked(original.path, form->bytes));
  } catch (const Error& error) {
    return text_reply(400, error.message());
  }
}

}  // namespace

void add_file_routes(RouteList& routes, ComfyParts& parts) {
  auto pooled = [&parts](http::HttpResponse (*handle)(ComfyParts&, const http::HttpRequest&)) {
    return [&parts, handle](const http::HttpRequest& request, Writer writer) {
      answer_from_pool(parts, std::move(writer), [&parts, handle, request] { return handle(parts, request); });
    };
  };
  routes.add("GET", "/view", "a picture, as it is or converted", pooled(view));
  routes.add("POST", "/upload/image", "stores a picture for workflows", pooled(upload_image));
  routes.add("POST", "/upload/mask", "stores a picture with a painted mask", pooled(upload_mask));
}

}  // namespace hearth::server
