// Lets a test in another language ask what this project makes of a file or of raw blocks. One JSON object per line
// in, one out, in order; bytes travel as hex.
//   {"op":"dtypes"}                              -> {"dtypes":{name:[elements, bytes, ggml id or null],...}}
//   {"op":"decode","type":"q4_0","bytes":hex}    -> {"floats":hex of float32}
//   {"op":"encode","type":"q4_0","floats":hex}   -> {"bytes":hex}
//   {"op":"gguf"|"safetensors","path":...}       -> {"paths":[...],"metadata":{...},"tensors":[...]}
// A refusal comes back as {"error":code,"message":text}.
#include <cstring>
#include <iostream>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "formats/gguf/gguf.h"
#include "formats/json/json.h"
#include "formats/safetensors/safetensors.h"
#include "ops/quant/decode.h"
#include "ops/quant/encode.h"

namespace hearth {
namespace {

std::string to_hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (char byte : bytes) {
    out += kDigits[static_cast<uint8_t>(byte) >> 4];
    out += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return out;
}

std::string from_hex(std::string_view hex) {
  std::string out;
  for (size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return out;
}

DType type_of(const Value& request) {
  const std::string& spelling = request.at("type").as_string();
  if (auto type = from_name(spelling)) return *type;
  throw Error(Code::kInvalidArgument, "no element type is called '" + spelling + "'");
}

Value dtypes() {
  Value out;
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    Value id;
    for (uint32_t ggml = 0; ggml < 256; ++ggml) {
      if (from_ggml(ggml) == type) id = ggml;
    }
    out.set(name(type), Value::List{Value(info(type).block_elements), Value(info(type).block_bytes), id});
  }
  return Value::object({{"dtypes", out}});
}

Value decode(const Value& request) {
  DType type = type_of(request);
  std::string bytes = from_hex(request.at("bytes").as_string());
  auto n = static_cast<int64_t>(bytes.size()) / info(type).block_bytes * info(type).block_elements;
  std::vector<float> floats(static_cast<size_t>(n));
  quant::decode_row(type, bytes.data(), floats.data(), n);
  return Value::object({{"floats", to_hex({reinterpret_cast<const char*>(floats.data()), floats.size() * 4})}});
}

Value encode(const Value& request) {
  DType type = type_of(request);
  std::string bytes = from_hex(request.at("floats").as_string());
  std::vector<float> floats(bytes.size() / 4);
  std::memcpy(floats.data(), bytes.data(), floats.size() * 4);
  auto n = static_cast<int64_t>(floats.size());
  std::string blocks(static_cast<size_t>(row_bytes(type, n)), '\0');
  quant::encode_row(type, floats.data(), blocks.data(), n);
  return Value::object({{"bytes", to_hex(blocks)}});
}

Value describe(const TensorFile& file) {
  Value paths = Value::list(), tensors = Value::list();
  for (const std::string& path : file.paths) paths.push(path);
  for (const TensorInfo& tensor : file.tensors) {
    Value shape = Value::list();
    for (int64_t extent : tensor.shape) shape.push(extent);
    tensors.push(Value::object({{"name", tensor.name},
                                {"type", name(tensor.type)},
                                {"shape", shape},
                                {"file", tensor.file},
                                {"offset", tensor.offset},
                                {"bytes", tensor.bytes}}));
  }
  return Value::object({{"paths", paths}, {"metadata", file.metadata}, {"tensors", tensors}});
}

Value answer(const Value& request) {
  const std::string& op = request.at("op").as_string();
  if (op == "dtypes") return dtypes();
  if (op == "decode") return decode(request);
  if (op == "encode") return encode(request);
  if (op == "gguf") return describe(gguf::open(request.at("path").as_string()));
  if (op == "safetensors") return describe(safetensors::open(request.at("path").as_string()));
  throw Error(Code::kInvalidArgument, "unknown op '" + op + "'");
}

}  // namespace
}  // namespace hearth

int main() {
  std::ios::sync_with_stdio(false);
  for (std::string line; std::getline(std::cin, line);) {
    hearth::Value reply;
    try {
      reply = hearth::answer(hearth::json::parse(line).value());
    } catch (const hearth::Error& error) {
      reply = hearth::Value::object({{"error", hearth::wire_name(error.code())}, {"message", error.message()}});
    }
    std::cout << hearth::json::write(reply) << std::endl;
  }
}
