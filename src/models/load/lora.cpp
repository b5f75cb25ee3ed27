#include "models/load/lora.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

constexpr int64_t kColumns = 32;  // of a product computed at a time: a constant, so that compilers use vectors

using Field = const TensorInfo* LoraFile::Module::*;

struct Role {
  std::string_view suffix;
  Field field;
};

// What programs write behind a module's name; longer ones before those they end in.
const Role kRoles[] = {
    {".lora_up.weight", &LoraFile::Module::up},
    {".lora_down.weight", &LoraFile::Module::down},
    {".lora_mid.weight", &LoraFile::Module::mid},
    {".lora_B.default.weight", &LoraFile::Module::up},
    {".lora_A.default.weight", &LoraFile::Module::down},
    {".lora_B.weight", &LoraFile::Module::up},
    {".lora_A.weight", &LoraFile::Module::down},
    {".lora_B", &LoraFile::Module::up},
    {".lora_A", &LoraFile::Module::down},
    {".lora_linear_layer.up.weight", &LoraFile::Module::up},
    {".lora_linear_layer.down.weight", &LoraFile::Module::down},
    {".lora.up.weight", &LoraFile::Module::up},
    {".lora.down.weight", &LoraFile::Module::down},
    {"_lora.up.weight", &LoraFile::Module::up},
    {"_lora.down.weight", &LoraFile::Module::down},
    {".alpha", &LoraFile::Module::alpha},
    {".diff", &LoraFile::Module::diff},
    {".diff_b", &LoraFile::Module::diff_bias},
    {".w_norm", &LoraFile::Module::diff},
    {".b_norm", &LoraFile::Module::diff_bias},
};

constexpr std::string_view kForeign[] = {".dora_scale", ".reshape_weight", ".set_weight", ".hada_",     ".lokr_",
                                         ".oft_",       ".a1.weight",      ".a2.weight",  ".b1.weight", ".b2.weight"};

bool ends_with(std::string_view text, std::string_view with) {
  return text.size() >= with.size() && text.substr(text.size() - with.size()) == with;
}

int64_t inner(const TensorInfo& t) { return t.shape.empty() || t.shape[0] == 0 ? 0 : t.elements() / t.shape[0]; }

// Why a pair does not make a weight of `shape`; "" when it does.
std::string misfit(const LoraFile::Module& m, const std::vector<int64_t>& shape) {
  if (!m.up || !m.down) return fmt::format("got only {}, wanted a pair of up and down", (m.up ? m.up : m.down)->name);
  const int64_t rank = m.down->shape.empty() ? 0 : m.down->shape[0];
  int64_t elements = 1;
  for (int64_t dim : shape) elements *= dim;
  int64_t columns = inner(*m.down);
  bool fits = rank > 0 && !m.up->shape.empty() && m.up->shape[0] == shape[0] && inner(*m.up) == rank;
  if (m.mid) {  // [rank, rank, kh, kw] between 1x1 convolutions
    fits = fits && m.mid->shape.size() == 4 && m.mid->shape[0] == rank && m.mid->shape[1] == rank;
    if (fits) columns *= m.mid->shape[2] * m.mid->shape[3];
  }
  if (fits && shape[0] * columns == elements) return "";
  return fmt::format("got up {} and down {}{}, wanted a product of {}", describe(m.up->shape), describe(m.down->shape),
                     m.mid ? " and mid " + describe(m.mid->shape) : "", describe(shape));
}

}  // namespace

LoraFile::LoraFile(std::shared_ptr<const TensorFile> file) : file_(std::move(file)) {
  for (const TensorInfo& tensor : file_->tensors) {
    const std::string_view name = tensor.name;
    const Role* role =
        std::find_if(std::begin(kRoles), std::end(kRoles), [&](const Role& r) { return ends_with(name, r.suffix); });
    if (role != std::end(kRoles)) {
      modules_[std::string(name.substr(0, name.size() - role->suffix.size()))].*(role->field) = &tensor;
      continue;
    }
    size_t at = name.npos;
    for (std::string_view kind : kForeign) at = std::min(at, name.find(kind));
    if (at != name.npos) modules_[std::string(name.substr(0, at))].is_foreign = true;
    strange_.push_back(tensor.name);
  }
}

std::vector<std::string> LoraFile::not_applied(const std::vector<const LoraNames*>& networks) const {
  std::vector<std::string> out;
  for (const auto& [name, module] : modules_) {
    bool is_known =
        std::any_of(networks.begin(), networks.end(),
                    [&, key = std::string_view(name)](const LoraNames* n) { return n->find(key) != n->end(); });
    // One whose tensors are all strange is reported by those.
    if (!is_known && !module.is_foreign) out.push_back(name);
  }
  out.insert(out.end(), strange_.begin(), strange_.end());
  return out;
}

// Why the pair is not applied; "" when it is, or when there is none.
std::string LoraPatch::add_pair_of(const LoraFile& file, const LoraFile::Module& module, const std::string& weight,
                                   double strength, const std::shared_ptr<const OpenLora>& from) {
  const Located at = network_.find(weight);
  if (!module.up && !module.down) return "";
  if (!at) return fmt::format("the network has no '{}'", weight);
  if (std::string why = misfit(module, at.shape()); !why.empty()) return why;
  double scale = 1;  // alpha over rank
  if (module.alpha) scale = read_values(*file.file(), *module.alpha).at(0) / static_cast<double>(module.down->shape[0]);
  changes_[weight].push_back({.from = from,
                              .up = module.up,
                              .down = module.down,
                              .mid = module.mid,
                              .factor = static_cast<float>(strength * scale)});
  return "";
}

std::string LoraPatch::add_whole(const TensorInfo* diff, const std::string& weight, double strength,
                                 const std::shared_ptr<const OpenLora>& from) {
  if (!diff) return "";
  const Located at = network_.find(weight);
  if (!at || diff->elements() != at.elements()) {
    return fmt::format("got {}, wanted {}", describe(diff->shape),
                       at ? describe(at.shape()) : "none: there is no " + weight);
  }
  changes_[weight].push_back({.from = from, .diff = diff, .factor = static_cast<float>(strength)});
  return "";
}

std::vector<std::string> LoraPatch::add(const LoraFile& file, const LoraNames& names, double strength) {
  std::vector<std::string> misfits;
  if (strength == 0) return misfits;
  const std::shared_ptr<const OpenLora> from(new OpenLora{file.file(), OpenFiles(file.file()->paths)});
  for (const auto& [key, module] : file.modules()) {
    auto known = names.find(key);
    if (known == names.end()) continue;
    auto note = [&misfits, of = key](const std::string& why) {
      if (!why.empty()) misfits.push_back(of + ": " + why);
    };
    if (module.is_foreign) {
      note("a kind of adapter that is not applied");
      continue;
    }
    const std::string weight = known->second + ".weight", bias = known->second + ".bias";
    note(add_pair_of(file, module, weight, strength, from));
    note(add_whole(module.diff, weight, strength, from));
    note(add_whole(module.diff_bias, bias, strength, from));
  }
  return misfits;
}

// Entries [first, first + n) of a tensor's first axis.
std::vector<float> LoraPatch::read(const Change& change, const TensorInfo& tensor, int64_t first, int64_t n) {
  const int64_t elements = tensor.shape.empty() ? 1 : inner(tensor) * n;
  const int64_t skip = tensor.shape.empty() ? 0 : inner(tensor) * first;
  std::vector<std::byte> bytes(static_cast<size_t>(row_bytes(tensor.type, elements)));
  read_exactly(change.from->descriptors.fds()[tensor.file], change.from->file->paths[tensor.file],
               tensor.offset + row_bytes(tensor.type, skip), bytes.data(), std::ssize(bytes), {});
  std::vector<float> out(static_cast<size_t>(elements));
  quant::decode_row(tensor.type, bytes.data(), out.data(), elements);
  return out;
}

// [rank, I*kh*kw]; with `mid`, the two inner convolutions made one: sum over n of down[n, i] mid[m, n, y, x].
std::vector<float> LoraPatch::read_down(const Change& change) {
  std::vector<float> down = read(change, *change.down, 0, change.down->shape[0]);
  if (!change.mid) return down;
  const int64_t rank = change.down->shape[0], in = inner(*change.down);
  const int64_t taps = change.mid->shape[2] * change.mid->shape[3];
  const std::vector<float> mid = read(change, *change.mid, 0, rank);
  std::vector<float> out(static_cast<size_t>(rank * in * taps), 0.0f);
  for (int64_t m = 0; m < rank; ++m) {
    for (int64_t n = 0; n < rank; ++n) {
      for (int64_t i = 0; i < in; ++i) {
        for (int64_t tap = 0; tap < taps; ++tap) {
          out[(m * in + i) * taps + tap] += down[n * in + i] * mid[(m * rank + n) * taps + tap];
        }
      }
    }
  }
  return out;
}

void LoraPatch::add_pair(const Change& change, int64_t first_row, int64_t n_rows, std::span<float> rows) {
  const int64_t rank = change.down->shape[0], columns = std::ssize(rows) / n_rows;
  const std::vector<float> up = read(change, *change.up, first_row, n_rows), down = read_down(change);
  std::vector<float> tile(static_cast<size_t>(rank * kColumns));
  for (int64_t begin = 0; begin < columns; begin += kColumns) {
    const int64_t n = std::min(kColumns, columns - begin);
    for (int64_t k = 0; k < rank; ++k) std::copy_n(&down[k * columns + begin], n, &tile[k * kColumns]);
    for (int64_t row = 0; row < n_rows; ++row) {
      std::array<float, kColumns> sum{};
      for (int64_t k = 0; k < rank; ++k) {
        const float factor = up[row * rank + k];
        const float* of = &tile[k * kColumns];
        for (int64_t i = 0; i < kColumns; ++i) sum[i] += factor * of[i];
      }
      for (int64_t i = 0; i < n; ++i) rows[row * columns + begin + i] += change.factor * sum[i];
    }
  }
}

void LoraPatch::apply(std::string_view name, int64_t first_row, int64_t n_rows, std::span<float> rows) const {
  auto found = changes_.find(name);
  if (found == changes_.end()) return;
  for (const Change& change : found->second) {
    if (!change.diff) {
      add_pair(change, first_row, n_rows, rows);
      continue;
    }
    // A vector is one row of all its elements.
    const bool is_row = change.diff->shape.size() <= 1;
    const std::vector<float> diff =
        is_row ? read(change, *change.diff, 0, std::ssize(rows)) : read(change, *change.diff, first_row, n_rows);
    for (size_t i = 0; i < rows.size(); ++i) rows[i] += change.factor * diff[i];
  }
}

}  // namespace hearth
