// Any bytes given as a safetensors file either parse to tensors that tile its data, or throw Error. The two bytes
// before the header are the length of the data that follows it.
#include <cstdlib>
#include <cstring>

#include "core/base/error.h"
#include "formats/safetensors/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  uint16_t data_bytes;
  std::memcpy(&data_bytes, data, sizeof(data_bytes));
  std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);
  uint64_t length = text.size();  // a mutated length would reject nearly every input before the JSON is read
  std::string header(reinterpret_cast<const char*>(&length), sizeof(length));
  header += text;
  int64_t file_bytes = static_cast<int64_t>(header.size()) + data_bytes;
  try {
    hearth::safetensors::File file = hearth::safetensors::parse(header, file_bytes, "fuzz");
    for (const hearth::TensorInfo& tensor : file.tensors) {
      if (tensor.offset < 0 || tensor.bytes < 0 || tensor.offset > file_bytes - tensor.bytes) std::abort();
    }
  } catch (const hearth::Error& error) {
    if (error.code() == hearth::Code::kInternal) std::abort();
  }
  return 0;
}
