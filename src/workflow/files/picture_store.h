// PictureStore: reads and writes the files of nodes. Saved files are numbered as ComfyUI numbers them, written under a
// temporary name, synced and renamed, so a listed file is always whole. One job at a time writes.
#pragma once
#include <functional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"
#include "core/device/allocator.h"
#include "workflow/files/places.h"

namespace hearth::workflow {

/// Where a batch of files goes: <folder>/<name>_<counter, five digits>_<suffix>.
struct SavePlace {
  std::string folder;     // absolute
  std::string name;       // prefix without its folders
  std::string subfolder;  // below output or temp, as the UI shows it
  int64_t counter = 1;    // of the first file
  std::string file(int64_t index, std::string_view suffix) const;
};

struct LoadedPicture {
  Tensor image;  // [B,H,W,3]
  Tensor mask;   // [B,H,W], 1 - alpha; [B,64,64] of zeros when there is no alpha
};

class PictureStore {
 public:
  /// `places` outlives the store.
  explicit PictureStore(const Places& places) : places_(places) {}
  virtual ~PictureStore() = default;

  /// Expands %width% and the like and finds the next free number. `type` is "output" or "temp". kInvalidArgument when
  /// the prefix leads outside the folder.
  Result<SavePlace> place(std::string_view type, std::string prefix, int64_t width, int64_t height) const;
  /// Told of every file before it is written; empty: nobody.
  using WriteWatch = std::function<void(const std::string& path)>;
  void set_write_watch(WriteWatch watch) { write_watch_ = std::move(watch); }
  /// Writes one file durably.
  Result<void> write(const std::string& path, std::string_view bytes) const;

  /// 8-bit PNG of picture `index` of [B,H,W,C]; text chunks in order.
  Result<std::string> encode_png(const Tensor& images, int64_t index, const Value& text_chunks, int level) const;
  /// A picture file of a workflow (name, sub/name, name [output]), turned upright.
  Result<LoadedPicture> load(std::string_view name, Allocator& memory) const;
  /// One channel of it as a mask [1,H,W]: "alpha" (1 - alpha), "red", "green", "blue".
  Result<Tensor> load_channel(std::string_view name, std::string_view channel, Allocator& memory) const;

 private:
  const Places& places_;
  WriteWatch write_watch_;
};

}  // namespace hearth::workflow
