#include "planner/catalogue/catalogue.h"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "core/base/nearest.h"
#include "formats/json/json.h"
#include "planner/catalogue/estimate.h"
#include "planner/catalogue/synthetic.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"

namespace hearth::embedded {
std::string_view catalogue();
}

namespace hearth::planner {
namespace {

std::string text(const Value& of, std::string_view key) {
  const Value* value = of.find(key);
  return value ? value->as_string() : "";
}

double number(const Value& of, std::string_view key) {
  const Value* value = of.find(key);
  return value ? value->as_double() : 0;
}

bool flag(const Value& of, std::string_view key) {
  const Value* value = of.find(key);
  return value && value->as_bool();
}

std::vector<std::string> names_of(const Value& list) {
  std::vector<std::string> names;
  for (const Value& item : list.as_list()) names.push_back(item.at("name").as_string());
  return names;
}

const Value* named(const Value& list, const std::string& name) {
  for (const Value& item : list.as_list()) {
    if (item.at("name").as_string() == name) return &item;
  }
  return nullptr;
}

// What pictures may be kept in so far.
bool is_kept(const Quant& quant) { return quant.matrix == DType::kF16 || quant.matrix == DType::kBF16; }

std::shared_ptr<const Subject> picture_of(const std::string& name, const Value& families, const Quant& quant,
                                          const Caps& target) {
  const Caps cpu = cpu_caps(std::max(target.threads, 1));  // what pictures run on so far
  if (families.as_list().front().as_string() == "flux") return estimated_flux(name, quant, cpu);
  std::vector<PictureFile> files;
  for (const Value& family : families.as_list()) {
    files.push_back(synthetic_picture(family.as_string(), is_kept(quant) ? *quant.matrix : DType::kF16));
  }
  if (!is_kept(quant)) return estimated_picture(name, std::move(files), quant, cpu);
  auto subject = std::make_shared<PictureSubject>(name, std::move(files), cpu);
  subject->facts().quant = quant.name;
  if (target.target == DeviceKind::kCuda) {
    subject->facts().notes.push_back("pictures run on the CPU in this build: the arena is that of its kernels, the "
                                     "bound that of the GPU");
  }
  return subject;
}

}  // namespace

Error unknown_name(const char* what, const std::string& name, const std::vector<std::string>& known) {
  const std::string nearest = nearest_name(name, known);
  return Error(Code::kNotFound,
               fmt::format("no {} '{}'{} There are {}", what, name,
                           nearest.empty() ? "." : fmt::format("; did you mean '{}'?", nearest),
                           fmt::join(known, ", ")));
}

const Catalogue& Catalogue::built_in() {
  static const Catalogue catalogue(json::parse(embedded::catalogue()).value());
  return catalogue;
}

Catalogue::Catalogue(Value data) : data_(std::move(data)) {
  for (const Value& model : data_.at("models").as_list()) {
    entries_.push_back({.name = text(model, "name"), .title = text(model, "title"), .source = text(model, "source"),
                        .is_picture = model.find("picture") != nullptr, .is_in_table = flag(model, "in_table"),
                        .best_quant = text(model, "best"), .fetch = text(model, "fetch")});
  }
}

std::vector<std::string> Catalogue::model_names() const { return names_of(data_.at("models")); }
std::vector<std::string> Catalogue::machine_names() const { return names_of(data_.at("machines")); }
std::vector<std::string> Catalogue::quant_names() const { return names_of(data_.at("quants")); }

std::vector<std::string> Catalogue::table_quants(const std::string& of) const {
  std::vector<std::string> names;
  const Value* own = model(of).find("quants");
  for (const Value& name : (own ? *own : data_.at("table_quants")).as_list()) names.push_back(name.as_string());
  return names;
}

const Value& Catalogue::model(const std::string& name) const {
  const Value* found = named(data_.at("models"), name);
  if (!found) throw unknown_name("model", name, model_names());
  return *found;
}

Result<Machine> Catalogue::machine(const std::string& name) const {
  const Value* found = named(data_.at("machines"), name);
  if (!found) return unexpected(unknown_name("machine", name, machine_names()));
  Machine m{.name = name, .words = text(*found, "words")};
  m.caps.threads = static_cast<int>(number(*found, "threads"));
  m.caps.isa = CpuIsa::kAvx2;
  if (const double sm = number(*found, "gpu_sm"); sm > 0) {
    m.caps.target = DeviceKind::kCuda;
    m.caps.sm = static_cast<int>(sm);
    m.caps.multiprocessors = static_cast<int>(number(*found, "multiprocessors"));
    m.caps.is_integrated = flag(*found, "integrated");
    m.caps.name = name;
  }
  m.is_unified = flag(*found, "unified");
  m.memory_bytes = found->at("memory_bytes").as_int();
  m.driver_bytes = static_cast<int64_t>(number(*found, "driver_bytes"));
  m.flops = {number(*found, "fp32"), number(*found, "fp16"), number(*found, "int8"), number(*found, "fp8"),
             number(*found, "fp4")};
  m.bandwidth = number(*found, "bandwidth");
  m.power_w = number(*found, "power_w");
  m.source = text(*found, "source");
  return m;
}

Result<Machines> Catalogue::machines(const std::string& name) const {
  Result<Machine> known = machine(name);
  if (known) return Machines{*known, *known};
  std::vector<std::string> names = machine_names();
  names.push_back("this");
  return unexpected(unknown_name("machine", name, names));
}

Result<Quant> Catalogue::quant(const std::string& name) const {
  const Value* found = named(data_.at("quants"), name.empty() ? "fp16" : name);
  if (!found) return unexpected(unknown_name("quant", name, quant_names()));
  return Quant::of(*found);
}

Result<std::shared_ptr<const Subject>> Catalogue::subject(const std::string& name, const std::string& quant_name,
                                                          const Caps& target) const {
  const Value* found = named(data_.at("models"), name);
  if (!found) return unexpected(unknown_name("model", name, model_names()));
  Result<Quant> quant = this->quant(quant_name);
  if (!quant) return unexpected(quant.error());
  if (const Value* families = found->find("picture")) return picture_of(name, *families, *quant, target);
  const LmShape shape = LmShape::of(*found);
  if (shape.is_known() && quant->matrix) {
    try {
      auto subject =
          std::make_shared<LanguageSubject>(name, synthetic_checkpoint(name, shape, *quant), target);
      subject->facts().quant = quant->name;
      return std::shared_ptr<const Subject>(std::move(subject));
    } catch (const Error& e) {
      if (e.code() != Code::kUnsupported) throw;
    }
  }
  return std::shared_ptr<const Subject>(estimated_language(name, shape, *quant, target));
}

std::shared_ptr<const Subject> Catalogue::rough(const CatalogueEntry& entry, const std::string& quant_name) const {
  return estimated_language(entry.name, LmShape::of(model(entry.name)), quant(quant_name).value(), cpu_caps(1));
}

}  // namespace hearth::planner
