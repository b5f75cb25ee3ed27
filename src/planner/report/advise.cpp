#include "planner/report/advise.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/direct/direct_reader.h"
#include "planner/catalogue/catalogue.h"
#include "planner/fit/fit.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"

namespace hearth::planner {
namespace {

using governor::SmallerChoice;

constexpr int64_t kShortestContext = 512;
constexpr int64_t kSideStep = 64;     // pixels
// The least that reading a large part needs beside it.
const int64_t kRing = ReadOptions{.block_bytes = 4 * MiB, .depth = 2}.ring_bytes();
constexpr const char* kSchemes[] = {"q8_0", "q6_k", "q5_k", "q4_k_m"};

bool fits(const Subject& subject, const Ask& ask, int64_t room) { return subject.demand(ask).total_bytes() <= room; }

// The largest below what was asked for.
int64_t largest_below(const Subject& subject, Ask ask, int64_t Ask::*field, int64_t step, int64_t room) {
  const int64_t most = (ask.*field - 1) / step * step;
  return largest_within(room, step, most, [&](int64_t n) {
    ask.*field = n;
    return subject.demand(ask).total_bytes();
  });
}

Role role_of(const TensorInfo& tensor) {
  auto has = [&](const char* part) { return tensor.name.find(part) != std::string::npos; };
  if (tensor.shape.size() < 2) return Role::kVector;
  if (has("token_embd") || has("embed_tokens")) return Role::kEmbedding;
  if (tensor.name == "output.weight" || has("lm_head")) return Role::kHead;
  if (has("attn_v") || has("v_proj") || has("ffn_down") || has("down_proj")) return Role::kValueOrDown;
  return Role::kMatrix;
}

int64_t layer_of(const std::string& name) {
  const size_t digit = name.find_first_of("0123456789");
  return digit == name.npos ? 0 : std::atoll(name.c_str() + digit);
}

// The same model with its matrices in another scheme.
Checkpoint encoded(Checkpoint checkpoint, const Quant& quant, int64_t layers) {
  int64_t next = 0;
  for (TensorInfo& tensor : checkpoint.file.tensors) {
    const Role role = role_of(tensor);
    if (role != Role::kVector) {
      tensor.type = quant.scheme({tensor.name, tensor.shape, role, layer_of(tensor.name)}, layers);
    }
    tensor.bytes = *tensor_bytes(tensor.type, tensor.shape);
    tensor.offset = next;
    tensor.file = 0;
    next += tensor.bytes;
  }
  seal(checkpoint.file);
  return checkpoint;
}

double bits_of(DType type) { return 8.0 * info(type).block_bytes / info(type).block_elements; }

// The least lossy scheme in which the model fits as it was asked for.
std::optional<SmallerChoice> smaller_scheme(const Checkpoint& checkpoint, const Ask& ask, const Caps& caps,
                                            int64_t layers, int64_t room) try {
  const double bits = bits_of(main_scheme(checkpoint.file));
  for (const char* name : kSchemes) {
    const Quant quant = Catalogue::built_in().quant(name).value();
    if (quant.bits > 0.9 * bits) continue;
    const LanguageSubject smaller(name, encoded(checkpoint, quant, layers), caps);
    const int64_t bytes = smaller.demand(ask).total_bytes();
    if (bytes > room) continue;
    return SmallerChoice{Value::object({{"quant", name}, {"bytes", bytes}}),
                         fmt::format("this model as {}, which takes {}", name, format_bytes(bytes))};
  }
  return std::nullopt;
} catch (const std::exception& e) {
  log::debug("no smaller scheme of {}: {}", checkpoint.file.paths.empty() ? "" : checkpoint.file.paths[0], e.what());
  return std::nullopt;  // what else fits still counts
}

// Of the same shape, in whole steps.
std::optional<SmallerChoice> largest_picture(const Subject& subject, Ask ask, int64_t room) {
  const double width = static_cast<double>(ask.width), height = static_cast<double>(ask.height);
  ask.batch = 1;
  auto sized = [&](int64_t steps) {
    Ask smaller = ask;
    const double share = static_cast<double>(steps * kSideStep) / std::max(width, height);
    auto side = [&](double pixels) {
      return std::max<int64_t>(std::llround(pixels * share) / kSideStep * kSideStep, kSideStep);
    };
    smaller.width = side(width);
    smaller.height = side(height);
    return smaller;
  };
  const int64_t most = (std::max(ask.width, ask.height) - 1) / kSideStep;
  const int64_t steps =
      largest_within(room, 1, most, [&](int64_t n) { return subject.demand(sized(n)).total_bytes(); });
  if (steps == 0) return std::nullopt;
  const Ask best = sized(steps);
  return SmallerChoice{Value::object({{"batch_size", 1}, {"width", best.width}, {"height", best.height}}),
                       fmt::format("one picture of {}x{}", best.width, best.height)};
}

// With every denoiser that is held.
std::vector<PictureFile> files_of(const diffuse::PictureNeed& need) {
  std::vector<PictureFile> files{need.file};
  for (const PictureFile* other : need.beside) {
    PictureFile denoiser = *other;
    denoiser.text_encoders.clear();
    denoiser.vae.reset();
    denoiser.tiny_vae.reset();
    files.push_back(std::move(denoiser));
  }
  return files;
}

}  // namespace

int64_t room_of(const Error& refusal) {
  const Value* details = refusal.details().get();
  const Value* free = details ? details->find("available_bytes") : nullptr;
  if (refusal.code() != Code::kNoMemory || !free || details->find("reason")) return 0;
  int64_t room = free->as_int();
  for (const Value& idle : details->at("could_leave").as_list()) room += idle.at("bytes").as_int();
  return room;
}

std::vector<SmallerChoice> smaller_language(const Subject& subject, const Ask& asked, int64_t room) {
  Ask ask = asked;
  ask.context = std::min(subject.facts().own_context, ask.context > 0 ? ask.context : LoadOptions::default_context);
  std::vector<SmallerChoice> out;
  const int64_t context = largest_below(subject, ask, &Ask::context, ask.page_tokens, room);
  if (context >= kShortestContext) {
    out.push_back({Value::object({{"context", context}}), fmt::format("context = {}", context)});
  }
  if (const int64_t n = largest_below(subject, ask, &Ask::parallel, 1, room); n > 0) {
    out.push_back({Value::object({{"parallel", n}}), fmt::format("parallel = {}", n)});
  }
  if (asked.state_dtype == DType::kF32) {
    ask.state_dtype = DType::kF16;
    if (fits(subject, ask, room)) {
      out.push_back({Value::object({{"state_dtype", "f16"}}), "state_dtype = \"f16\""});
    }
    ask.state_dtype = asked.state_dtype;
  }
  if (!out.empty()) return out;
  ask.parallel = 1;
  const int64_t both = largest_below(subject, ask, &Ask::context, ask.page_tokens, room);
  if (both >= kShortestContext) {
    out.push_back({Value::object({{"context", both}, {"parallel", 1}}),
                   fmt::format("context = {} with parallel = 1", both)});
  }
  return out;
}

std::vector<SmallerChoice> smaller_picture(const Subject& subject, const Ask& ask, int64_t room) {
  constexpr int64_t kTiles[] = {512, 256, 128};
  std::vector<SmallerChoice> out;
  if (const int64_t n = largest_below(subject, ask, &Ask::batch, 1, room); n > 0) {
    out.push_back({Value::object({{"batch_size", n}}), fmt::format("a batch of {}", n)});
  }
  for (int64_t tile : kTiles) {
    if (tile >= std::max(ask.width, ask.height) || (ask.tile > 0 && tile >= ask.tile)) continue;
    Ask tiled = ask;
    tiled.tile = tile;
    if (!fits(subject, tiled, room)) continue;
    out.push_back({Value::object({{"vae_tiling", "on"}, {"vae_tile", tile}}),
                   fmt::format("vae_tiling in pieces of {} pixels", tile)});
    break;
  }
  if (!out.empty()) return out;
  if (auto smaller = largest_picture(subject, ask, room)) out.push_back(*std::move(smaller));
  return out;
}

Error advise(const Error& refusal, const LoadOptions& o, const Caps& caps) try {
  // On the CPU files are read through the arena, on a card of its own through memory that is not leased.
  const int64_t room = room_of(refusal) - (caps.is_integrated ? kRing : 0);
  if (room <= 0) return refusal;
  const Checkpoint checkpoint = Checkpoint::open(o.path);
  const LanguageSubject subject(o.name, checkpoint, caps);
  const Ask ask{.context = o.context, .parallel = o.parallel, .max_rows = o.max_rows, .page_tokens = o.page_tokens,
                .state_dtype = o.state_dtype};
  std::vector<SmallerChoice> choices = smaller_language(subject, ask, room);
  auto scheme = smaller_scheme(checkpoint, ask, caps, subject.layers(), room);
  if (scheme) choices.push_back(*std::move(scheme));
  return governor::with_choices(refusal, choices);
} catch (const std::exception& e) {
  log::debug("no advice for {}: {}", o.name, e.what());  // the refusal itself is what counts
  return refusal;
}

Error advise(const Error& refusal, const diffuse::PictureNeed& need, const Caps& caps) try {
  const int64_t account = room_of(refusal);
  if (account <= 0) return refusal;
  const int64_t room = account + need.held_bytes - kRing;
  const std::optional<DType> scheme = need.compute.scheme();
  const PictureSubject subject("picture", files_of(need), caps, scheme);
  const Ask ask{.width = need.width, .height = need.height, .batch = need.batch, .is_guided = need.is_guided,
                .tile = need.tile};
  std::vector<SmallerChoice> choices = smaller_picture(subject, ask, room);
  if (bits_of(scheme.value_or(main_scheme(need.file.unet->tensors->file()))) > 16) {
    const PictureSubject half("picture", files_of(need), caps, DType::kF16);
    if (fits(half, ask, room)) choices.push_back({Value::object({{"precision", "fp16"}}), "precision fp16"});
  }
  return governor::with_choices(refusal, choices);
} catch (const std::exception& e) {
  log::debug("no advice for a picture: {}", e.what());
  return refusal;
}

}  // namespace hearth::planner
