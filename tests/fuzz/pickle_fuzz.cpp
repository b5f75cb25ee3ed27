// Any bytes given as a torch checkpoint either give tensors that lie inside the file, or throw Error. The first byte
// says what they are: a whole file (0), or the pickle of an archive whose storages have 4096 bytes each.
#include <cstdlib>
#include <string>

#include <sys/mman.h>
#include <unistd.h>

#include "core/base/error.h"
#include "formats/pickle/pickle.h"

namespace {

constexpr int64_t kStorageBytes = 4096, kMadeBytes = 16 * kStorageBytes;

hearth::TensorFile open_bytes(std::string_view bytes) {
  int file = memfd_create("fuzz", MFD_CLOEXEC);
  if (file < 0 || write(file, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  std::string path = "/proc/self/fd/" + std::to_string(file);
  try {
    hearth::TensorFile read = hearth::pickle::open(path);
    close(file);
    return read;
  } catch (...) {
    close(file);
    throw;
  }
}

hearth::TensorFile parse_bytes(std::string_view bytes) {
  auto find = [](std::string_view key) -> hearth::pickle::Span {
    int64_t place = key.empty() ? 0 : static_cast<unsigned char>(key[0]) % 16;
    return {.offset = place * kStorageBytes, .bytes = kStorageBytes};
  };
  return hearth::pickle::parse(bytes, find, "fuzz");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  bool is_file = data[0] == 0;
  int64_t file_bytes = is_file ? static_cast<int64_t>(bytes.size()) : kMadeBytes;
  try {
    hearth::TensorFile file = is_file ? open_bytes(bytes) : parse_bytes(bytes);
    for (const hearth::TensorInfo& tensor : file.tensors) {
      if (tensor.offset < 0 || tensor.bytes < 0 || tensor.offset > file_bytes - tensor.bytes) std::abort();
      if (file.find(tensor.name) != &tensor) std::abort();
    }
  } catch (const hearth::Error& error) {
    if (error.code() == hearth::Code::kInternal) std::abort();
  }
  return 0;
}
