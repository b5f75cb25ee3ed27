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

// Between a number that fits and one that does not, where bytes grow about evenly: guessed by a straight line, each
// guess sized, until they are neighbours or patience ends. The last that fitted; 0 when not even one does.
class Narrowing {
 public:
  Narrowing(int64_t room, Patience& patience, std::function<int64_t(int64_t)> bytes_at)
      : room_(room), patience_(patience), bytes_at_(std::move(bytes_at)) {}

  int64_t below(int64_t too_many, int64_t too_many_bytes) {
    if (too_many <= 1 || !patience_.lasts()) return 0;
    int64_t fits = 1, fits_bytes = bytes_at_(1);
    if (fits_bytes > room_) return 0;
    bool is_even = true;  // a line may miss the same side again and again where bytes have a step: halves do not
    while (too_many - fits > 1 && patience_.lasts()) {
      int64_t guess = fits + (too_many - fits) / 2;
      if (is_even && too_many_bytes > fits_bytes) {  // they are equal where the number makes no difference
        const double share = static_cast<double>(room_ - fits_bytes) / static_cast<double>(too_many_bytes - fits_bytes);
        const int64_t by_line = fits + static_cast<int64_t>(share * static_cast<double>(too_many - fits));
        guess = std::clamp(by_line, fits + 1, too_many - 1);
      }
      const int64_t bytes = bytes_at_(guess), before = too_many - fits;
      if (bytes <= room_) {
        fits = guess;
        fits_bytes = bytes;
      } else {
        too_many = guess;
        too_many_bytes = bytes;
      }
      is_even = 2 * (too_many - fits) <= before;
    }
    return fits;
  }

 private:
  const int64_t room_;
  Patience& patience_;
  const std::function<int64_t(int64_t)> bytes_at_;
};

// The most of one field below what was asked for; `asked_bytes` is what that takes.
int64_t most_below(const Subject& subject, const Ask& asked, int64_t asked_bytes, int64_t Ask::*field, int64_t room,
                   Patience& patience) {
  Ask ask = asked;
  return Narrowing(room, patience, [&](int64_t n) {
           ask.*field = n;
           return subject.demand(ask).total_bytes();
         }).below(asked.*field, asked_bytes);
}

// The longest context below what was asked for: a step's tensors do not depend on it, so trying one is an addition.
int64_t context_below(const Subject& subject, Ask ask, int64_t room) {
  const int64_t most = (ask.context - 1) / ask.page_tokens * ask.page_tokens;
  return largest_within(room, ask.page_tokens, most, [&](int64_t n) {
    ask.context = n;
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
                                            int64_t layers, int64_t room, Patience& patience) try {
  const double bits = bits_of(main_scheme(checkpoint.file));
  for (const char* name : kSchemes) {
    const Quant quant = Catalogue::built_in().quant(name).value();
    if (quant.bits > 0.9 * bits) continue;
    if (!patience.lasts()) return std::nullopt;
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

// `ask` for one picture of that many steps along its longer side.
Ask of_size(const Ask& ask, int64_t steps) {
  const double longer = static_cast<double>(std::max(ask.width, ask.height));
  const double share = static_cast<double>(steps * kSideStep) / longer;
  auto side = [&](int64_t pixels) {
    const int64_t scaled = std::llround(static_cast<double>(pixels) * share);
    return std::max<int64_t>(scaled / kSideStep * kSideStep, kSideStep);
  };
  Ask smaller = ask;
  smaller.batch = 1;
  smaller.width = side(ask.width);
  smaller.height = side(ask.height);
  return smaller;
}

// Of the same shape, in whole steps.
std::optional<SmallerChoice> largest_picture(const Subject& subject, const Ask& ask, int64_t asked_bytes, int64_t room,
                                             Patience& patience) {
  const int64_t most = ceil_div(std::max(ask.width, ask.height), kSideStep);
  const int64_t steps = Narrowing(room, patience, [&](int64_t n) {
                          return subject.demand(of_size(ask, n)).total_bytes();
                        }).below(most, asked_bytes);
  if (steps == 0) return std::nullopt;
  const Ask best = of_size(ask, steps);
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
  if (refusal.code() != Code::kNoMemory || !free) return 0;
  if (details->find("reason") && !details->find("machine_bytes")) return 0;  // nobody knows what would fit
  int64_t room = free->as_int();
  for (const Value& idle : details->at("could_leave").as_list()) room += idle.at("bytes").as_int();
  return room;
}

bool Patience::lasts() {
  if (left_ <= 0 || std::chrono::steady_clock::now() > end_ || (gives_up_ && gives_up_())) return false;
  --left_;
  return true;
}

std::vector<SmallerChoice> smaller_language(const Subject& subject, const Ask& asked, int64_t room,
                                            Patience& patience) {
  std::vector<SmallerChoice> out;
  if (!patience.lasts()) return out;
  Ask ask = asked;
  ask.context = std::min(subject.facts().own_context, ask.context > 0 ? ask.context : LoadOptions::default_context);
  const int64_t asked_bytes = subject.demand(ask).total_bytes();
  const int64_t context = context_below(subject, ask, room);
  if (context >= kShortestContext) {
    out.push_back({Value::object({{"context", context}}), fmt::format("context = {}", context)});
  }
  if (asked.state_dtype == DType::kF32 && patience.lasts()) {
    ask.state_dtype = DType::kF16;
    if (fits(subject, ask, room)) {
      out.push_back({Value::object({{"state_dtype", "f16"}}), "state_dtype = \"f16\""});
    }
    ask.state_dtype = asked.state_dtype;
  }
  if (const int64_t n = most_below(subject, ask, asked_bytes, &Ask::parallel, room, patience); n > 0) {
    out.push_back({Value::object({{"parallel", n}}), fmt::format("parallel = {}", n)});
  }
  if (!out.empty() || !patience.lasts()) return out;
  ask.parallel = 1;
  const int64_t both = context_below(subject, ask, room);
  if (both >= kShortestContext) {
    out.push_back({Value::object({{"context", both}, {"parallel", 1}}),
                   fmt::format("context = {} with parallel = 1", both)});
  }
  return out;
}

std::vector<SmallerChoice> smaller_picture(const Subject& subject, const Ask& ask, int64_t room, Patience& patience) {
  constexpr int64_t kTiles[] = {512, 256, 128};
  std::vector<SmallerChoice> out;
  if (!patience.lasts()) return out;
  const int64_t asked_bytes = subject.demand(ask).total_bytes();
  if (const int64_t n = most_below(subject, ask, asked_bytes, &Ask::batch, room, patience); n > 0) {
    out.push_back({Value::object({{"batch_size", n}}), fmt::format("a batch of {}", n)});
  }
  for (int64_t tile : kTiles) {
    if (tile >= std::max(ask.width, ask.height) || (ask.tile > 0 && tile >= ask.tile)) continue;
    if (!patience.lasts()) break;
    Ask tiled = ask;
    tiled.tile = tile;
    if (!fits(subject, tiled, room)) continue;
    out.push_back({Value::object({{"vae_tiling", "on"}, {"vae_tile", tile}}),
                   fmt::format("vae_tiling in pieces of {} pixels", tile)});
    break;
  }
  if (!out.empty()) return out;
  if (auto smaller = largest_picture(subject, ask, asked_bytes, room, patience)) out.push_back(*std::move(smaller));
  return out;
}

Error advise(const Error& refusal, const LoadOptions& o, const Caps& caps, const std::stop_token& stop) try {
  // On the CPU files are read through the arena, on a card of its own through memory that is not leased.
  const int64_t room = room_of(refusal) - (caps.is_integrated ? kRing : 0);
  if (room <= 0) return refusal;
  Patience patience([&stop] { return stop.stop_requested(); });
  const Checkpoint checkpoint = Checkpoint::open(o.path);
  const LanguageSubject subject(o.name, checkpoint, caps);
  const Ask ask{.context = o.context, .parallel = o.parallel, .max_rows = o.max_rows, .page_tokens = o.page_tokens,
                .state_dtype = o.state_dtype, .stop = stop};
  std::vector<SmallerChoice> choices = smaller_language(subject, ask, room, patience);
  auto scheme = smaller_scheme(checkpoint, ask, caps, subject.layers(), room, patience);
  if (scheme) choices.push_back(*std::move(scheme));
  return governor::with_choices(refusal, choices);
} catch (const std::exception& e) {
  log::debug("no advice for {}: {}", o.name, e.what());  // the refusal itself is what counts
  return refusal;
}

Error advise(const Error& refusal, const diffuse::PictureNeed& need, const Caps& caps,
             const std::function<bool()>& gives_up) try {
  const int64_t account = room_of(refusal);
  if (account <= 0) return refusal;
  Patience patience(gives_up);
  const int64_t room = account + need.held_bytes - kRing;
  const std::optional<DType> scheme = need.compute.scheme();
  const PictureSubject subject("picture", files_of(need), caps, scheme);
  const Ask ask{.width = need.width, .height = need.height, .batch = need.batch, .is_guided = need.is_guided,
                .tile = need.tile};
  std::vector<SmallerChoice> choices = smaller_picture(subject, ask, room, patience);
  const bool is_wide = bits_of(scheme.value_or(main_scheme(need.file.unet->tensors->file()))) > 16;
  if (is_wide && patience.lasts()) {
    const PictureSubject half("picture", files_of(need), caps, DType::kF16);
    if (fits(half, ask, room)) choices.push_back({Value::object({{"precision", "fp16"}}), "precision fp16"});
  }
  return governor::with_choices(refusal, choices);
} catch (const std::exception& e) {
  log::debug("no advice for a picture: {}", e.what());
  return refusal;
}

}  // namespace hearth::planner
