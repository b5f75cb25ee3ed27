#include "runtime/generate/batch_buffers.h"

#include <algorithm>
#include <bit>

#include "core/device/cuda.h"

namespace hearth {
namespace {

// Offsets, in int32, of the arrays in the staging buffer; fixed by the capacity.
struct Offsets {
  explicit Offsets(const BatchCapacity& c)
      : tokens(0), pos(c.rows), seq(2 * c.rows), keep(3 * c.rows), groups(3 * c.rows + c.seqs),
        group_size(c.rows + c.seqs * c.max_pages), total(groups + c.groups * group_size), rows(c.rows) {}
  int64_t slots(int group) const { return groups + group * group_size; }
  int64_t page_table(int group) const { return slots(group) + rows; }
  int64_t tokens, pos, seq, keep, groups, group_size, total, rows;
};

Tensor slice(const Tensor& staging, int64_t offset, Shape shape) {
  return staging.narrow(0, offset, shape.numel()).reshape(shape);
}

Batch view_batch(const Tensor& staging, const Offsets& at, const BatchSizes& sizes, int groups) {
  Batch batch;
  batch.sizes = sizes;
  batch.tokens = slice(staging, at.tokens, {sizes.rows});
  batch.pos = slice(staging, at.pos, {sizes.rows});
  batch.seq = slice(staging, at.seq, {sizes.rows});
  batch.keep = slice(staging, at.keep, {sizes.keep});
  for (int g = 0; g < groups; ++g) {
    batch.groups[g].slots = slice(staging, at.slots(g), {sizes.rows});
    batch.groups[g].page_table = slice(staging, at.page_table(g), {sizes.seqs, sizes.max_pages});
  }
  return batch;
}

}  // namespace

int64_t batch_buffer_bytes(const BatchCapacity& capacity, Device device) {
  return allocation_bytes(device, row_bytes(DType::kI32, Offsets(capacity).total)) +
         allocation_bytes(device, row_bytes(DType::kF32, capacity.seqs * capacity.vocab));
}

Batch meta_batch(const BatchSizes& sizes, int groups, RawAllocator& meta) {
  BatchCapacity capacity{.rows = sizes.rows, .seqs = std::max(sizes.seqs, sizes.keep), .max_pages = sizes.max_pages,
                         .groups = groups};
  Offsets at(capacity);
  return view_batch(*meta.tensor(DType::kI32, {at.total}, "batch"), at, sizes, groups);
}

BatchBuffers::BatchBuffers(Allocator& memory, const BatchCapacity& capacity, std::string_view holder)
    : capacity_(capacity), device_(memory.device()),
      staging_device_(memory.tensor(DType::kI32, {Offsets(capacity).total}, holder).value()),
      logits_(memory.tensor(DType::kF32, {capacity.seqs, capacity.vocab}, holder).value()) {
  staging_ = reinterpret_cast<int32_t*>(staging_device_.raw());
  host_logits_ = reinterpret_cast<float*>(logits_.raw());
  if constexpr (cuda::kBuilt) {
    if (device_.kind != DeviceKind::kCuda) return;
    staging_ = reinterpret_cast<int32_t*>(*cuda::allocate_pinned(staging_device_.bytes()));
    host_logits_ = reinterpret_cast<float*>(*cuda::allocate_pinned(logits_.bytes()));
    std::fill_n(staging_, staging_device_.numel(), 0);
  }
}

BatchBuffers::~BatchBuffers() {
  if constexpr (cuda::kBuilt) {
    if (device_.kind != DeviceKind::kCuda) return;
    cuda::release_pinned(reinterpret_cast<std::byte*>(staging_));
    cuda::release_pinned(reinterpret_cast<std::byte*>(host_logits_));
  }
}

int64_t BatchBuffers::bucket(int64_t n, int64_t most) const {
  if (device_.kind != DeviceKind::kCuda) return n;
  return std::min<int64_t>(static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n))), most);
}

Batch BatchBuffers::fill(std::span<const Scheduler::Piece> pieces, void* stream) {
  BatchSizes sizes;
  for (const Scheduler::Piece& piece : pieces) {
    sizes.rows += piece.count;
    sizes.keep += piece.kept_rows();
    sizes.max_pages = std::max(sizes.max_pages, static_cast<int64_t>(piece.sequence->pages.size()));
  }
  check(sizes.rows <= capacity_.rows && std::ssize(pieces) <= capacity_.seqs && sizes.keep <= capacity_.seqs,
        "a step fits its buffers");
  sizes = {.rows = bucket(sizes.rows, capacity_.rows),
           .seqs = bucket(std::ssize(pieces), capacity_.seqs),
           .keep = bucket(std::max<int64_t>(sizes.keep, 1), capacity_.seqs),
           .max_pages = bucket(sizes.max_pages, capacity_.max_pages)};
  place(pieces, sizes);
  if constexpr (cuda::kBuilt) {
    if (device_.kind == DeviceKind::kCuda) {
      cuda::copy_to_device(stream, staging_device_.raw(), staging_, staging_device_.bytes());
    }
  }
  return view_batch(staging_device_, Offsets(capacity_), sizes, capacity_.groups);
}

void BatchBuffers::place(std::span<const Scheduler::Piece> pieces, const BatchSizes& sizes) {
  const Offsets at(capacity_);
  int64_t row = 0, kept = 0;
  for (int64_t s = 0; s < std::ssize(pieces); ++s) {
    const Scheduler::Piece& piece = pieces[s];
    const Sequence& sequence = *piece.sequence;
    for (int g = 0; g < capacity_.groups; ++g) {
      int32_t* table = staging_ + at.page_table(g) + s * sizes.max_pages;
      for (int64_t i = 0; i < sizes.max_pages; ++i) {
        table[i] = i < std::ssize(sequence.pages) ? sequence.pages[i][g] : kScratchPage;
      }
    }
    for (int64_t position = piece.first; position < piece.first + piece.count; ++position, ++row) {
      staging_[at.tokens + row] = sequence.tokens[position];
      staging_[at.pos + row] = static_cast<int32_t>(position);
      staging_[at.seq + row] = static_cast<int32_t>(s);
      for (int g = 0; g < capacity_.groups; ++g) {
        Page page = sequence.pages[position / capacity_.page_tokens][g];
        staging_[at.slots(g) + row] =
            static_cast<int32_t>(page * capacity_.page_tokens + position % capacity_.page_tokens);
      }
    }
    for (int64_t left = piece.kept_rows(); left > 0; --left) {
      staging_[at.keep + kept++] = static_cast<int32_t>(row - left);
    }
  }
  for (; row < sizes.rows; ++row) {  // padding: position 0 of the first sequence, written to the scratch page
    staging_[at.tokens + row] = staging_[at.pos + row] = staging_[at.seq + row] = 0;
    for (int g = 0; g < capacity_.groups; ++g) staging_[at.slots(g) + row] = kScratchPage;
  }
  for (; kept < sizes.keep; ++kept) staging_[at.keep + kept] = 0;
}

void BatchBuffers::fetch_logits(int64_t n, void* stream) {
  if constexpr (cuda::kBuilt) {
    if (device_.kind != DeviceKind::kCuda || n == 0) return;
    cuda::copy_to_host(stream, host_logits_, logits_.raw(), n * capacity_.vocab * static_cast<int64_t>(sizeof(float)));
    cuda::synchronize(device_.index, stream);
  }
}

std::span<const float> BatchBuffers::logits_row(int64_t i) const {
  return {host_logits_ + i * capacity_.vocab, static_cast<size_t>(capacity_.vocab)};
}

}  // namespace hearth
