// Any bytes given as a GGUF header either parse to tensors that lie inside the file and metadata whose packed lists
// read the same as unpacked ones, or throw Error. The first byte says how much longer than its header the file claims
// to be.
#include <cstdlib>

#include "core/base/error.h"
#include "formats/gguf/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view header(reinterpret_cast<const char*>(data) + 1, size - 1);
  int64_t file_bytes = static_cast<int64_t>(header.size()) + (int64_t{1} << data[0] % 62) - 1;
  try {
    hearth::gguf::File file = hearth::gguf::parse(header, file_bytes, "fuzz");
    for (const hearth::TensorInfo& tensor : file.tensors) {
      if (tensor.offset < 0 || tensor.bytes < 0 || tensor.offset > file_bytes - tensor.bytes) std::abort();
      if (file.find(tensor.name) != &tensor) std::abort();
    }
    for (const auto& [key, value] : file.metadata.as_object()) {
      if (file.metadata.find(key) != &value) std::abort();
      const hearth::PackedList* packed = value.packed();
      for (size_t i = 0; packed && i < packed->size(); ++i) {
        if ((*packed)[i].kind() != value.as_list()[i].kind()) std::abort();
      }
    }
  } catch (const hearth::Error& error) {
    if (error.code() == hearth::Code::kInternal) std::abort();
  }
  return 0;
}
