#include "doctor/record.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>

#include "doctor/environment.h"
#include "doctor/explain/catalogue.h"
#include "doctor/report/report.h"
#include "machine/cuda_driver.h"

namespace hearth::doctor {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kRemoved = "(removed)";
constexpr std::string_view kSecretWords[] = {"token", "secret", "password", "passwd", "credential", "apikey", "api_key",
                                             "api-key", "auth", "_key", "-key"};
constexpr std::string_view kSecretBeginnings[] = {"hf_", "sk-", "nvapi-", "ghp_", "glpat-"};
// Variables that a check reads; nothing else of the environment is anybody's business.
constexpr std::string_view kVariables[] = {"CUDA", "NCCL_", "TORCH", "PYTORCH_", "TRITON_", "CMAKE_CUDA", "OMP_",
    "UCX_",
                                           "OMPI_", "LD_LIBRARY_PATH", "LANG", "LC_", "TZ", "HOME", "VIRTUAL_ENV",
                                           "CONDA_PREFIX", "XDG_DATA_HOME"};
// Folders whose listings the checks read and that say nothing about a person.
constexpr std::string_view kOpenFolders[] = {"/proc", "/sys", "/etc", "/usr", "/opt", "/gpu", "/dev", "/var"};

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_' || c == '-'; }

void replace_word(std::string& text, const std::string& word, std::string_view with) {
  if (word.size() < 3) return;
  for (size_t at = 0; (at = text.find(word, at)) != text.npos;) {
    const bool begins = at == 0 || !is_word(text[at - 1]);
    const bool ends = at + word.size() == text.size() || !is_word(text[at + word.size()]);
    if (begins && ends) text.replace(at, word.size(), with);
    at += begins && ends ? with.size() : word.size();
  }
}

// /home/alice -> /home/user, whoever it is.
void replace_homes(std::string& text) {
  constexpr std::string_view kHome = "/home/";
  for (size_t at = 0; (at = text.find(kHome, at)) != text.npos;) {
    at += kHome.size();
    size_t end = at;
    while (end < text.size() && (is_word(text[end]) || text[end] == '.')) ++end;
    text.replace(at, end - at, "user");
  }
}

bool has_secret_word(std::string_view name) {
  const std::string small = lower(name);
  return std::ranges::any_of(kSecretWords, [&](std::string_view word) { return contains(small, word); });
}

// A hardware address (six pairs) or an IPv6 address: of hexadecimal digits and colons only.
bool is_address(std::string_view word, bool& is_hardware) {
  if (word.size() < 4 || word.find_first_not_of("0123456789abcdefABCDEF:") != word.npos) return false;
  const auto colons = std::ranges::count(word, ':');
  is_hardware = colons == 5 && word.size() == 17;
  return is_hardware || (colons >= 2 && contains(word, "::")) || colons == 7;
}

// One word between blanks, quotes or brackets.
std::string scrubbed_word(std::string_view word, bool follows_secret) {
  bool is_hardware = false;
  if (is_address(word, is_hardware)) {
    if (is_hardware) return "02:00:00:00:00:00";
    if (word != "::" && word != "::1" && !word.starts_with("fe80")) return "2001:db8::1";
  }
  const size_t equals = word.find('=');
  if (equals != word.npos && equals + 1 < word.size() && has_secret_word(word.substr(0, equals))) {
    return std::string(word.substr(0, equals + 1)) + std::string(kRemoved);
  }
  const std::string_view value = equals == word.npos ? word : word.substr(equals + 1);
  for (std::string_view beginning : kSecretBeginnings) {
    if (value.size() > beginning.size() + 8 && value.starts_with(beginning)) {
      return std::string(word.substr(0, word.size() - value.size())) + std::string(kRemoved);
    }
  }
  return std::string(follows_secret ? kRemoved : word);
}

std::string scrubbed_line(std::string_view line) {
  std::string result;
  bool follows_secret = false;
  for (size_t at = 0; at < line.size();) {
    constexpr std::string_view kBreaks = " \t\",[]{}()";
    const size_t end = std::min(line.find_first_of(kBreaks, at), line.size());
    const std::string_view word = line.substr(at, end - at);
    if (!word.empty()) {
      result += scrubbed_word(word, follows_secret);
      // "--api-key VALUE", "Bearer VALUE"
      follows_secret = (word.starts_with("--") && word.find('=') == word.npos && has_secret_word(word)) ||
                       word == "Bearer";
    }
    if (end < line.size()) result += line[end];
    at = end + 1;
  }
  return result;
}

// A journal's second word is the host's name, however short.
std::string without_host_column(const std::string& text) {
  std::string result;
  for (const std::string& line : machine::lines_of(text)) {
    const size_t first = line.find(' '), second = first == line.npos ? first : line.find(' ', first + 1);
    const bool is_entry = !line.empty() && std::isdigit(static_cast<unsigned char>(line[0])) && second != line.npos;
    result += is_entry ? line.substr(0, first) + " recorded" + line.substr(second) : line;
    result += '\n';
  }
  return result;
}

// Of programs' logs only lines that a check understands: the others may hold what people asked.
std::string known_lines(const std::string& text) {
  std::string result;
  for (const std::string& line : machine::lines_of(text)) {
    if (is_known_message(line) || line.starts_with("-- ")) result += line + '\n';
  }
  return result;
}

std::string known_variables(const std::string& text) {
  const char separator = contains(text, std::string_view("\0", 1)) ? '\0' : '\n';
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    const std::string_view line = std::string_view(text).substr(at, end - at);
    const bool is_known = std::ranges::any_of(kVariables,
        [&](std::string_view name) { return line.starts_with(name); });
    if (is_known) result += std::string(line) + '\n';
    at = end + 1;
  }
  return result;
}

// Sockets that listen; who is connected stays unsaid.
std::string listening_only(const std::string& text) {
  std::string result;
  for (const std::string& line : machine::lines_of(text)) {
    if (contains(line, " 0A ") || contains(line, "local_address")) result += line + '\n';
  }
  return result;
}

class Recorder : public machine::Witness {
 public:
  Recorder(std::string folder, std::string source, Names names)
      : folder_(std::move(folder)), source_(std::move(source)), names_(std::move(names)) {}

  void saw_text(std::string_view path, const std::string& text) override {
    std::string kept = text;
    if (path == "/proc/self/environ") kept = known_variables(kept);
    if (path == "/proc/net/tcp" || path == "/proc/net/tcp6") kept = listening_only(kept);
    if (path == "/proc/sys/kernel/hostname") kept = "recorded\n";
    keep(std::string(path), scrubbed(kept, names_));
  }

  void saw_names(std::string_view folder, const std::vector<std::string>& names) override {
    const bool is_open = std::ranges::any_of(kOpenFolders,
        [&](std::string_view open) { return folder.starts_with(open); });
    const bool is_one = names.size() == 1;  // asked for by name
    const bool has_packages = contains(folder, "/site-packages") || contains(folder, "/dist-packages");
    for (const std::string& name : names) {
      const bool is_wanted = is_one || (has_packages ? name.ends_with(".dist-info") : is_open && is_told(folder, name));
      if (is_wanted) keep_name(std::string(folder) + "/" + name);
    }
  }

  void saw_link(std::string_view path, const std::string& target) override {
    const fs::path file = place(std::string(path));
    std::error_code failure;
    fs::create_directories(file.parent_path(), failure);
    // A link to a folder that was recorded as one stays a folder: its files are what is read.
    if (!fs::exists(fs::symlink_status(file, failure))) fs::create_symlink(target, file, failure);
  }

  void saw_output(const Command& command, const machine::ToolOutput& output) override {
    std::string text = output.text;
    auto asks_for = [&](const char* word) { return std::ranges::count(command, word) > 0; };
    const bool is_of_system = asks_for("-k") || asks_for("systemd-journald");
    if (command[0] == "journalctl" && !is_of_system) text = known_lines(text);
    if (command[0] == "journalctl") text = without_host_column(text);
    const std::string name = machine::tool_file(without_names(command));
    constexpr size_t kLongestName = 255;
    if (name.size() > kLongestName) return;  // no file can have it: unknown to whoever examines the recording
    keep("/tools/" + name,
         fmt::format("exit {}\n{}", output.exit_status, scrubbed(text, names_)));
  }

  void keep(const std::string& path, const std::string& text) {
    const fs::path file = place(path);
    std::error_code failure;
    fs::create_directories(file.parent_path(), failure);
    if (fs::is_symlink(file, failure)) fs::remove(file, failure);
    std::ofstream out(file, std::ios::binary);
    out << text;
    if (!out) failed_.insert(path);
    written_.insert(path);
  }

  size_t files() const { return written_.size() - tools_count(); }
  size_t tools() const { return tools_count(); }
  const std::set<std::string>& failed() const { return failed_; }

 private:
  // Of large folders only what a check looks for.
  static bool is_told(std::string_view folder, const std::string& name) {
    if (folder.starts_with("/usr/lib/") || folder.starts_with("/usr/local/cuda")) {
      return name.starts_with("libcuda.so") || name.starts_with("libnvrtc.so") || name.starts_with("libnvinfer.so") ||
             name.starts_with("python3");
    }
    if (folder == "/usr/lib") return name.starts_with("python3");
    return folder != "/opt" && folder != "/etc/systemd/system";
  }

  void keep_name(const std::string& path) {
    std::error_code failure;
    const fs::path file = place(path);
    if (fs::exists(fs::symlink_status(file, failure))) return;
    if (fs::is_directory(source_ + path, failure)) {
      fs::create_directories(file, failure);
    } else {
      keep(path, "");
    }
  }

  fs::path place(std::string path) const { return folder_ + without_names(std::move(path)); }

  std::string without_names(std::string text) const {
    replace_homes(text);
    for (const std::string& user : names_.users) replace_word(text, user, "user");
    return text;
  }

  // As the recorded machine will ask: its home folder is another one.
  Command without_names(Command command) const {
    for (std::string& word : command) word = without_names(std::move(word));
    return command;
  }

  size_t tools_count() const {
    return static_cast<size_t>(std::ranges::count_if(written_,
        [](const std::string& p) { return p.starts_with("/tools/"); }));
  }

  std::string folder_, source_;
  Names names_;
  std::set<std::string> written_, failed_;
};

Names names_on(const std::string& source) {
  const Context context(machine::Root(source), {});
  Names names;
  for (const char* variable : {"USER", "LOGNAME", "SUDO_USER"}) {
    const std::string user = context.variable(variable).value_or("");
    if (!user.empty() && user != "root") names.users.push_back(user);
  }
  const std::string home = fs::path(context.home()).filename().string();
  if (!home.empty() && home != "root") names.users.push_back(home);
  names.host = trimmed(context.root().text("/proc/sys/kernel/hostname").value_or(""));
  return names;
}

}  // namespace

std::string scrubbed(std::string_view text, const Names& names) {
  std::string result;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\n', at), text.size());
    result += scrubbed_line(text.substr(at, end - at));
    if (end < text.size()) result += '\n';
    at = end + 1;
  }
  replace_homes(result);
  for (const std::string& user : names.users) replace_word(result, user, "user");
  replace_word(result, names.host, "recorded");
  return result;
}

Result<Recorded> record_machine(const std::string& folder, const Options& options, const std::string& source) {
  std::error_code failure;
  if (fs::exists(folder, failure) && !fs::is_empty(folder, failure)) {
    return unexpected(Code::kInvalidArgument, "--record: " + folder + " exists and is not empty; name a new folder");
  }
  fs::create_directories(folder, failure);
  if (failure) return unexpected(Code::kIo, "--record: cannot make " + folder + ": " + failure.message());
  Recorder recorder(folder, source, names_on(source));
  const Context context(source.empty() ? machine::Root(recorder) : machine::Root(recorder, source), options);
  (void)examine(context);
  for (const std::string& stack : environment_stacks()) (void)environment_for(context, stack);
  if (source.empty()) {
    const std::vector<std::string> texts = machine::cuda_attribute_texts();
    for (size_t i = 0; i < texts.size(); ++i) recorder.keep(fmt::format("/gpu/{}/attributes", i), texts[i]);
  }
  if (!recorder.failed().empty()) {
    return unexpected(Code::kIo, "--record: cannot write " + folder + *recorder.failed().begin());
  }
  return Recorded{.folder = folder, .files = recorder.files(), .tools = recorder.tools()};
}

}  // namespace hearth::doctor
