// NamedTensors: one network inside a file, under the names its bind code uses. Readers of a layout translate every
// tensor's name once, when the file is opened; nobody asks again which layout it was. A plain value; the file's headers
// are shared with the other networks in it.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "models/load/tensor_source.h"

namespace hearth {

class NamedTensors final : public TensorSource {
 public:
  using Table = std::map<std::string, Located, std::less<>>;

  explicit NamedTensors(std::shared_ptr<const TensorFile> file);

  /// A name that occurs twice keeps its first place.
  void add(std::string name, Located at) { table_.emplace(std::move(name), at); }
  /// Says what the file calls a tensor that is not there; without it, bind code's own name is given.
  void name_missing_with(std::function<std::string(std::string_view)> rename) { rename_ = std::move(rename); }

  const TensorFile& file() const override { return *file_; }
  const std::string& path() const override { return file_->paths.front(); }
  Located find(std::string_view name) const override;
  std::string name_in_file(std::string_view name) const override { return rename_ ? rename_(name) : std::string(name); }

  const Table& table() const { return table_; }
  bool empty() const { return table_.empty(); }
  bool has(std::string_view name) const { return table_.find(name) != table_.end(); }
  /// Whether some name begins so.
  bool has_prefix(std::string_view prefix) const;
  /// How many of prefix0, prefix1, ... lead some name.
  int count(const std::string& prefix) const;
  /// Axis `axis` of a tensor. Throws Error{kCorruptFile} naming the tensor when it is missing, has no such axis, or the
  /// axis is empty or beyond what a configuration holds.
  int dim(std::string_view name, int axis) const;
  int rank(std::string_view name) const;

 private:
  Located require(std::string_view name) const;

  std::shared_ptr<const TensorFile> file_;
  Table table_;
  std::function<std::string(std::string_view)> rename_;
};

}  // namespace hearth
