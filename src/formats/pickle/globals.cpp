#include "formats/pickle/globals.h"

#include <algorithm>
#include <array>

namespace hearth::pickle {
namespace {

struct TypeName {
  std::string_view storage, element;
  DType type;
};
constexpr std::array<TypeName, 14> kTypes{{{"FloatStorage", "float32", DType::kF32},
                                           {"HalfStorage", "float16", DType::kF16},
                                           {"BFloat16Storage", "bfloat16", DType::kBF16},
                                           {"DoubleStorage", "float64", DType::kF64},
                                           {"CharStorage", "int8", DType::kI8},
                                           {"ShortStorage", "int16", DType::kI16},
                                           {"IntStorage", "int32", DType::kI32},
                                           {"LongStorage", "int64", DType::kI64},
                                           {"ByteStorage", "uint8", DType::kU8},
                                           {"BoolStorage", "bool", DType::kBool},
                                           {"Float8_e4m3fnStorage", "float8_e4m3fn", DType::kF8E4M3},
                                           {"Float8_e5m2Storage", "float8_e5m2", DType::kF8E5M2},
                                           {"UInt16Storage", "uint16", DType::kU16},
                                           {"UInt32Storage", "uint32", DType::kU32}}};

struct Known {
  std::string_view module, name;
  Meaning meaning;
};
constexpr std::array<Known, 22> kKnown{{{"collections", "OrderedDict", Meaning::kDict},
                                        {"collections", "defaultdict", Meaning::kDict},
                                        {"collections", "Counter", Meaning::kDict},
                                        {"builtins", "dict", Meaning::kDict},
                                        {"builtins", "list", Meaning::kList},
                                        {"builtins", "tuple", Meaning::kTuple},
                                        {"builtins", "set", Meaning::kSet},
                                        {"builtins", "frozenset", Meaning::kSet},
                                        {"builtins", "int", Meaning::kEmpty},
                                        {"builtins", "float", Meaning::kEmpty},
                                        {"builtins", "str", Meaning::kEmpty},
                                        {"builtins", "bool", Meaning::kEmpty},
                                        {"builtins", "bytearray", Meaning::kEmpty},
                                        {"_codecs", "encode", Meaning::kEncode},
                                        {"torch", "Size", Meaning::kTuple},
                                        {"torch", "device", Meaning::kEmpty},
                                        {"torch", "Tensor", Meaning::kEmpty},
                                        {"torch.nn.parameter", "Parameter", Meaning::kEmpty},
                                        // Before 2023 it held the vectors of textual inversion.
                                        {"torch.nn.modules.container", "ParameterDict", Meaning::kDict},
                                        {"torch.storage", "UntypedStorage", Meaning::kStorage},
                                        {"torch._utils", "_rebuild_parameter", Meaning::kParameter},
                                        {"torch._utils", "_rebuild_parameter_with_state", Meaning::kParameter}}};
constexpr std::array<Known, 4> kTensors{{{"torch._utils", "_rebuild_tensor", Meaning::kTensor},
                                         {"torch._utils", "_rebuild_tensor_v2", Meaning::kTensor},
                                         {"torch._utils", "_rebuild_tensor_v3", Meaning::kTypedTensor},
                                         {"torch._tensor", "_rebuild_from_type_v2", Meaning::kRebuild}}};

// Packages whose values trainers put beside the tensors. Nothing of them is ever made.
constexpr std::array<std::string_view, 10> kBesideTensors{
    "numpy",     "pytorch_lightning", "lightning", "lightning_fabric", "lightning_utilities",
    "omegaconf", "argparse",          "pathlib",   "datetime",         "typing"};

template <size_t N>
std::optional<Global> find_in(const std::array<Known, N>& table, std::string_view module, std::string_view name) {
  for (const Known& known : table) {
    if (known.module == module && known.name == name) return Global{.meaning = known.meaning};
  }
  return std::nullopt;
}

}  // namespace

std::optional<Global> find_global(std::string_view module, std::string_view name) {
  if (module == "__builtin__") module = "builtins";  // Python 2
  if (auto known = find_in(kKnown, module, name)) return known;
  if (auto known = find_in(kTensors, module, name)) return known;
  if (module == "torch") {
    for (const TypeName& type : kTypes) {
      if (type.storage == name) return Global{.meaning = Meaning::kStorage, .type = type.type};
      if (type.element == name) return Global{.meaning = Meaning::kElementType, .type = type.type};
    }
  }
  std::string_view package = module.substr(0, module.find('.'));
  bool is_beside = std::find(kBesideTensors.begin(), kBesideTensors.end(), package) != kBesideTensors.end();
  return is_beside ? std::optional(Global{}) : std::nullopt;
}

}  // namespace hearth::pickle
