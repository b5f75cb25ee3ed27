// Model folders as ComfyUI lists them.
#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "core/base/files.h"
#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "server/comfy_routes.h"
#include "server/files/contained_path.h"
#include "server/files/file_reply.h"

namespace hearth::server {
namespace {

constexpr int64_t kMaxMetadataBytes = 1 << 20;
constexpr int64_t kMaxPreviewBytes = 64 << 20;

http::HttpResponse name_list(const std::vector<std::string>& names) {
  Value out = Value::list();
  for (const std::string& name : names) out.push(name);
  return json_reply(out);
}

// "styles/ink.safetensors" -> "styles/ink"
std::string without_extension(const std::string& name) {
  const std::string extension = std::filesystem::path(name).extension().string();
  return name.substr(0, name.size() - extension.size());
}

http::HttpResponse embeddings(const workflow::ModelFolders& models) {
  std::vector<std::string> names;
  for (const std::string& name : models.list("embeddings")) names.push_back(without_extension(name));
  return name_list(names);
}

// Legacy kinds are understood in workflows, not here.
bool is_listed_kind(const workflow::ModelFolders& models, const std::string& kind) {
  const auto kinds = models.kinds();
  return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

http::HttpResponse experiment_folders(const workflow::ModelFolders& models) {
  Value out = Value::list();
  for (const std::string& kind : models.kinds()) {
    if (kind == "configs" || kind == "custom_nodes") continue;
    Value folders = Value::list(), extensions = Value::list();
    for (const std::string& folder : models.folders(kind)) folders.push(folder);
    for (const std::string& extension : models.extensions(kind)) extensions.push(extension);
    out.push(Value::object({{"name", kind}, {"folders", std::move(folders)}, {"extensions", std::move(extensions)}}));
  }
  return json_reply(out);
}

double seconds_of(const timespec& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

http::HttpResponse experiment_files(const workflow::ModelFolders& models, const std::string& kind) {
  const auto folders = models.folders(kind);
  Value out = Value::list();
  for (const auto& file : models.files(kind)) {
    struct stat state{};
    const auto path = std::filesystem::path(folders.at(file.folder)) / file.name;
    if (::stat(path.c_str(), &state) != 0) continue;
    out.push(Value::object({{"name", file.name},
                            {"pathIndex", static_cast<int64_t>(file.folder)},
                            {"modified", seconds_of(state.st_mtim)},
                            {"created", seconds_of(state.st_ctim)},
                            {"size", static_cast<int64_t>(state.st_size)}}));
  }
  return json_reply(out);
}

// A safetensors file begins with the length of its JSON header, eight bytes little-endian.
Result<std::string> safetensors_header(const std::filesystem::path& path) {
  auto file = InFile::open(path);
  if (!file) return unexpected(file.error());
  unsigned char length[8];
  if (auto read = file->read_at(0, length, sizeof length); !read) return unexpected(read.error());
  uint64_t size = 0;
  for (int i = 7; i >= 0; --i) size = size << 8 | length[i];
  if (size > kMaxMetadataBytes) return unexpected(Code::kCorruptFile, "the header is too long");
  std::string header(size, '\0');
  if (auto read = file->read_at(8, header.data(), header.size()); !read) return unexpected(read.error());
  return header;
}

http::HttpResponse view_metadata(const workflow::ModelFolders& models, const std::string& kind,
                                 const std::string& name) {
  if (!name.ends_with(".safetensors") || !models.has(kind)) return text_reply(404, "");
  auto path = models.resolve(kind, name);
  if (!path) return text_reply(404, "");
  auto header = safetensors_header(*path);
  if (!header) return text_reply(404, "");
  auto parsed = json::parse(*header);
  const Value* metadata = parsed ? parsed->find("__metadata__") : nullptr;
  return metadata ? json_reply(*metadata) : text_reply(404, "");
}

// A picture as WEBP, whatever it lies in the folder as; what is no picture is not there.
http::HttpResponse webp_reply(const http::HttpRequest& request, const std::filesystem::path& path) {
  if (path.extension() == ".webp") return file_reply(request, path, "image/webp");
  const auto file = read_text(path, kMaxPreviewBytes);
  if (!file) return text_reply(404, "");
  http::HttpResponse out;
  out.content_type = "image/webp";
  try {
    out.body = image::encode_webp(image::decode(*file).picture);
  } catch (const Error&) {
    return text_reply(404, "");
  }
  return out;
}

// A picture beside a model: <base>.png or <base>.preview.png and so on.
http::HttpResponse model_preview(const http::HttpRequest& request, const workflow::ModelFolders& models) {
  const std::string& kind = request.params.at(0);
  const std::string& index_text = request.params.at(1);
  const auto folders = is_listed_kind(models, kind) ? models.folders(kind) : std::vector<std::string>();
  const bool is_index = !index_text.empty() && index_text.size() < 6 &&
                        index_text.find_first_not_of("0123456789") == index_text.npos;
  if (!is_index) return text_reply(400, "");
  const size_t index = std::stoul(index_text);
  if (index >= folders.size()) return text_reply(404, "");
  for (const char* between : {"", ".preview"}) {
    for (const char* extension : {".webp", ".png", ".jpg", ".jpeg"}) {
      auto path = contained_path(folders[index], without_extension(request.rest) + between + extension);
      if (!path) return text_reply(403, "");
      if (!std::filesystem::is_regular_file(*path)) continue;
      return webp_reply(request, *path);
    }
  }
  return text_reply(404, "");
}

}  // namespace

void add_model_routes(RouteList& routes, ComfyParts& parts) {
  const workflow::ModelFolders& models = parts.backend.places().models;
  routes.add("GET", "/embeddings", "", [&parts, &models](const http::HttpRequest&, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&models] { return embeddings(models); });
  });
  routes.add("GET", "/models", "kinds of model files", [&models](const http::HttpRequest&, Writer writer) {
    writer->respond(name_list(models.kinds()));
  });
  auto list = [&parts, &models](const http::HttpRequest& request, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&models, kind = request.params.at(0)] {
      return is_listed_kind(models, kind) ? name_list(models.list(kind)) : text_reply(404, "");
    });
  };
  routes.add("GET", "/models/{folder}", "files of a kind", list);
  routes.add("GET", "/experiment/models", "", [&models](const http::HttpRequest&, Writer writer) {
    writer->respond(experiment_folders(models));
  });
  auto describe = [&parts, &models](const http::HttpRequest& request, Writer writer) {
    answer_from_pool(parts, std::move(writer), [&models, kind = request.params.at(0)] {
      return is_listed_kind(models, kind) ? experiment_files(models, kind) : text_reply(404, "");
    });
  };
  routes.add("GET", "/experiment/models/{folder}", "", describe);
  routes.add("GET", "/experiment/models/preview/{folder}/{index}/*", "",
             [&parts, &models](const http::HttpRequest& request, Writer writer) {
               answer_from_pool(parts, std::move(writer),
                                [&models, request] { return model_preview(request, models); });
             });
  routes.add("GET", "/view_metadata/{folder}", "", [&parts, &models](const http::HttpRequest& request, Writer writer) {
    const std::string name = http::query_value(request.query, "filename");
    answer_from_pool(parts, std::move(writer), [&models, kind = request.params.at(0), name] {
      return view_metadata(models, kind, name);
    });
  });
}

}  // namespace hearth::server
