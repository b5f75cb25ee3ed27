#include "core/base/files.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth {
namespace {

Unexpected failed(std::string_view act, const fs::path& path, int number,
                  std::source_location where = std::source_location::current()) {
  Code code = number == ENOENT ? Code::kNotFound : Code::kIo;
  return unexpected(code, fmt::format("cannot {} {}: {}", act, path.string(), std::strerror(number)), where);
}

int64_t free_bytes(const fs::path& folder) {
  struct statvfs room {};
  if (::statvfs(folder.c_str(), &room) != 0) return -1;
  return static_cast<int64_t>(room.f_bavail) * static_cast<int64_t>(room.f_frsize);
}

Result<void> sync_folder(const fs::path& folder) {
  Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) return failed("open", folder, errno);
  if (::fsync(file.get()) != 0) return failed("sync", folder, errno);
  return {};
}

fs::path folder_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

Result<InFile> InFile::open(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return failed("open", path, errno);
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) return failed("inspect", path, errno);
  if (!S_ISREG(facts.st_mode)) return unexpected(Code::kInvalidArgument, path.string() + " is not a regular file");
  return InFile(path, std::move(file), facts.st_size);
}

Result<size_t> InFile::read(void* bytes, size_t size) {
  for (;;) {
    ssize_t got = ::read(file_.get(), bytes, size);
    if (got >= 0) return static_cast<size_t>(got);
    if (errno != EINTR) return failed("read", path_, errno);
  }
}

Result<void> InFile::read_at(int64_t offset, void* bytes, size_t size) const {
  auto* next = static_cast<char*>(bytes);
  while (size > 0) {
    ssize_t got = ::pread(file_.get(), next, size, offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return failed("read", path_, errno);
    if (got == 0) {
      return unexpected(Code::kCorruptFile,
                        fmt::format("{} ends at byte {}, {} more were expected", path_.string(), offset, size));
    }
    next += got;
    offset += got;
    size -= static_cast<size_t>(got);
  }
  return {};
}

Result<OutFile> OutFile::open(const fs::path& path, Start start) {
  int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (start == Start::kEmpty ? O_TRUNC : 0);
  Descriptor file(::open(path.c_str(), flags, 0644));
  if (file.get() < 0) return failed("create", path, errno);
  off_t end = ::lseek(file.get(), 0, SEEK_END);
  if (end < 0) return failed("seek in", path, errno);
  return OutFile(path, std::move(file), end);
}

Result<void> OutFile::write(const void* bytes, size_t size) {
  auto* next = static_cast<const char*>(bytes);
  while (size > 0) {
    ssize_t put = ::write(file_.get(), next, size);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0 && (errno == ENOSPC || errno == EDQUOT || errno == EFBIG)) {
      return unexpected(
          Code::kIo, fmt::format("the disk is full: {} after {}, {} free in {}; make room and pull again, "
                                 "it goes on from there",
                                 std::strerror(errno), format_bytes(size_), format_bytes(free_bytes(folder_of(path_))),
                                 folder_of(path_).string()));
    }
    if (put < 0) return failed("write", path_, errno);
    next += put;
    size_ += put;
    size -= static_cast<size_t>(put);
  }
  return {};
}

Result<void> OutFile::restart() {
  if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0) {
    return failed("empty", path_, errno);
  }
  size_ = 0;
  return {};
}

Result<void> OutFile::finish() {
  if (::fsync(file_.get()) != 0) return failed("sync", path_, errno);
  return {};
}

Result<std::string> read_text(const fs::path& path, int64_t limit) {
  auto file = InFile::open(path);
  if (!file) return unexpected(file.error());
  if (file->size() > limit) {
    return unexpected(Code::kCorruptFile, fmt::format("{} has {}, expected at most {}", path.string(),
                                                      format_bytes(file->size()), format_bytes(limit)));
  }
  std::string text(static_cast<size_t>(file->size()), '\0');
  if (auto got = file->read_at(0, text.data(), text.size()); !got) return unexpected(got.error());
  return text;
}

Result<void> write_text(const fs::path& path, std::string_view text) {
  fs::path temporary = path;
  temporary += ".new";
  auto file = OutFile::open(temporary, OutFile::Start::kEmpty);
  if (!file) return unexpected(file.error());
  if (auto put = file->write(text.data(), text.size()); !put) return put;
  if (auto kept = file->finish(); !kept) return kept;
  return rename_durably(temporary, path);
}

Result<void> rename_durably(const fs::path& from, const fs::path& to) {
  if (::rename(from.c_str(), to.c_str()) != 0) return failed("rename to " + to.string() + " the file", from, errno);
  return sync_folder(folder_of(to));
}

Result<void> exchange_durably(const fs::path& a, const fs::path& b) {
  if (::renameat2(AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), RENAME_EXCHANGE) != 0) {
    return failed("exchange with " + b.string() + " the folder", a, errno);
  }
  return sync_folder(folder_of(b));
}

Result<void> make_folders(const fs::path& path) {
  std::error_code problem;
  fs::create_directories(path, problem);
  if (problem) return unexpected(Code::kIo, fmt::format("cannot create {}: {}", path.string(), problem.message()));
  return {};
}

Result<void> need_room(const fs::path& folder, int64_t bytes) {
  int64_t room = free_bytes(folder);
  if (room < 0 || bytes <= room) return {};
  return unexpected(Code::kIo,
                    fmt::format("not enough disk space in {}: {} needed, {} free; make {} of room or choose another "
                                "models folder",
                                folder.string(), format_bytes(bytes), format_bytes(room), format_bytes(bytes - room)));
}

Result<FileLock> FileLock::take(const fs::path& path, std::string_view what) {
  Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (file.get() < 0) return failed("open", path, errno);
  if (::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return FileLock(std::move(file));
  if (errno != EWOULDBLOCK) return failed("lock", path, errno);
  return unexpected(Code::kBusy, fmt::format("{} is being changed by another process; wait for it to end, then try "
                                             "again",
                                             what));
}

}  // namespace hearth
