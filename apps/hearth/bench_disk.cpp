#include "bench_disk.h"

#include <iostream>
#include <memory>
#include <optional>

#include <fmt/format.h>

#include "core/base/units.h"
#include "formats/direct/disk_speed.h"
#include "formats/json/json.h"

namespace hearth::app {
namespace {

struct DiskOptions {
  std::string file, block = "4MiB";
  int depth = 32, buffers = 1;
  bool dd = false, json = false;
};

double gib_per_s(const DiskSpeed& speed) { return speed.rate() / static_cast<double>(GiB); }

int bench_disk(const DiskOptions& options) {
  ReadOptions reads{.block_bytes = parse_bytes(options.block).value(), .depth = options.depth};
  if (reads.block_bytes < 4 * KiB || reads.block_bytes % (4 * KiB) != 0 || reads.block_bytes > GiB) {
    throw Error(Code::kInvalidArgument,
                fmt::format("--block {}: wanted a multiple of 4 KiB, at most 1 GiB", options.block));
  }
  const DiskSpeed speed = measure_disk(options.file, reads, options.buffers);
  std::optional<DiskSpeed> buffered;
  if (options.dd) buffered = measure_buffered_disk(options.file);
  if (!options.json) {
    std::cout << fmt::format("{:.2f} GiB/s  {} in {:.2f} s, {}, {}, {} reads of {} at once\n", gib_per_s(speed),
                             format_bytes(speed.bytes), speed.seconds,
                             speed.uses_uring ? "io_uring" : "threads (no io_uring here)",
                             speed.is_direct ? "O_DIRECT" : "page cache (no O_DIRECT here)", options.depth,
                             format_bytes(reads.block_bytes));
    if (buffered) {
      std::cout << fmt::format("{:.2f} GiB/s  through the page cache, as dd bs=16M\n", gib_per_s(*buffered));
    }
    return 0;
  }
  Value result = Value::object();
  result.set("file", options.file);
  result.set("bytes", speed.bytes);
  result.set("seconds", speed.seconds);
  result.set("gib_per_s", gib_per_s(speed));
  result.set("block_bytes", reads.block_bytes);
  result.set("depth", options.depth);
  result.set("buffers", options.buffers);
  result.set("is_direct", speed.is_direct);
  result.set("uses_uring", speed.uses_uring);
  if (buffered) result.set("dd_gib_per_s", gib_per_s(*buffered));
  std::cout << json::write(result, {.indent = 2}) << '\n';
  return 0;
}

}  // namespace

Action add_bench_disk(CLI::App& app) {
  auto options = std::make_shared<DiskOptions>();
  app.add_option("file", options->file, "A file of some GiB on the disk in question, such as a model")->required();
  app.add_option("--block", options->block, "Bytes of one read")->capture_default_str();
  app.add_option("--depth", options->depth, "Reads under way at once")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_option("--buffers", options->buffers,
                 "Where reads go, in turn: one, which stays in the processor's caches, or as many as a load needs")
      ->capture_default_str()
      ->check(CLI::Range(1, 1024));
  app.add_flag("--dd", options->dd, "Read it through the page cache too, as dd bs=16M does");
  app.add_flag("--json", options->json, "Print JSON");
  return [options] { return bench_disk(*options); };
}

}  // namespace hearth::app
