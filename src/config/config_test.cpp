// The configuration: defaults, layers, every error text, and that the texts made from the table agree with it.
#include "config/config.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "config/dotenv.h"
#include "config/duration.h"
#include "config/fields.h"
#include "config/render.h"
#include "core/base/units.h"
#include "core/testing/temp_folder.h"

namespace hearth::config {
namespace {

using namespace std::chrono_literals;

// A folder with the configuration files of one test, and what is loaded from it.
class Desk {
 public:
  Desk() {
    options.folder = folder;
    options.environment = std::vector<std::string>{};
  }
  Desk& write(const std::string& name, const std::string& text) {
    fs::create_directories((folder / name).parent_path());
    std::ofstream(folder / name) << text;
    return *this;
  }
  Desk& env(std::string entry) { return options.environment->push_back(std::move(entry)), *this; }
  Desk& flag(std::string path, std::string text) {
    return options.flags.emplace_back(std::move(path), std::move(text)), *this;
  }
  Config loaded() const { return load(options).value(); }
  std::string problem() const {
    auto config = load(options);
    return config ? "accepted" : config.error().message();
  }

  testing::TempFolder temp;
  fs::path folder = temp.path();
  LoadOptions options;
};

std::string problem_of(const std::string& toml) { return Desk().write("hearth.toml", toml).problem(); }

std::string origin_of(const Config& config, const std::string& path) {
  for (const Effective& value : config.effective) {
    if (value.path == path) return value.origin;
  }
  return "nowhere";
}

TEST(Config, Defaults) {
  Config config = Desk().loaded();
  EXPECT_EQ(config.server.host, "127.0.0.1");
  EXPECT_EQ(config.server.port, 8188);
  EXPECT_EQ(config.server.api_key, "");
  EXPECT_EQ(config.server.max_body_bytes, 16 * MiB);
  EXPECT_EQ(config.server.header_timeout, 10s);
  EXPECT_EQ(config.server.request_timeout, 600s);
  EXPECT_EQ(config.server.max_connections, 512);
  EXPECT_EQ(config.server.max_queue, 64);
  EXPECT_TRUE(config.server.allowed_origins.empty() && config.server.allowed_hosts.empty());
  EXPECT_FALSE(config.memory.budget_bytes || config.memory.reserve_bytes);
  EXPECT_TRUE(config.memory.models_dir.empty() && config.llm.default_model.empty());
  EXPECT_EQ(config.llm.context, 0);
  EXPECT_EQ(config.llm.parallel, 8);
  EXPECT_EQ(config.llm.threads, 0);
  EXPECT_EQ(config.llm.state_dtype, "f16");
  EXPECT_EQ(config.llm.keep_alive, 30min);
  EXPECT_EQ(config.llm.prefill_chunk, 256);
  EXPECT_EQ(config.llm.page_tokens, 32);
  EXPECT_TRUE(config.models.empty() && config.file.empty());
}

TEST(Config, ReadsEveryKindFromAFile) {
  Desk desk;
  desk.write("hearth.toml", R"([server]
port = 9000
max_body = "1.5GiB"
max_queue = 0
[memory]
budget = 1073741824
reserve = "auto"
models_dir = "store"
[llm]
keep_alive = "2h"
[models."qwen3:8b"]
path = "/srv/q.gguf"
alias = ["qwen", "q"]
context = 16384
temperature = 1
top_p = 0.9
typical_p = 0.8
presence_penalty = -0.5
frequency_penalty = 1.5
seed = 7
pin = true
chat_template = "q.jinja"
)");
  EXPECT_NE(
      desk.problem().find("server.max_body is \"1.5GiB\", wanted a size such as 512MiB or 1.5GiB, from 1KiB to 1GiB"),
      std::string::npos);
  std::ifstream file(desk.folder / "hearth.toml");
  std::stringstream all;
  all << file.rdbuf();
  std::string changed = all.str();
  changed.replace(changed.find("1.5GiB"), 6, "0.5GiB");
  Config config = desk.write("hearth.toml", changed).loaded();
  EXPECT_EQ(config.server.port, 9000);
  EXPECT_EQ(config.server.max_body_bytes, 512 * MiB);
  EXPECT_EQ(config.memory.budget_bytes, GiB);
  EXPECT_FALSE(config.memory.reserve_bytes);
  EXPECT_EQ(config.memory.models_dir, desk.folder / "store");  // from the file's folder
  EXPECT_EQ(config.llm.keep_alive, 2h);
  ASSERT_EQ(config.models.size(), 1u);
  const ModelProfile& model = config.models[0];
  EXPECT_EQ(model.name, "qwen3:8b");
  EXPECT_EQ(model.path, "/srv/q.gguf");
  EXPECT_EQ(model.alias, (std::vector<std::string>{"qwen", "q"}));
  EXPECT_EQ(model.context, 16384);
  EXPECT_EQ(model.temperature, 1.0);
  EXPECT_EQ(model.top_p, 0.9);
  EXPECT_EQ(model.typical_p, 0.8);
  EXPECT_EQ(model.presence_penalty, -0.5);
  EXPECT_EQ(model.frequency_penalty, 1.5);
  EXPECT_EQ(model.seed, 7);
  EXPECT_TRUE(model.pin);
  EXPECT_EQ(model.chat_template, desk.folder / "q.jinja");
  EXPECT_FALSE(model.top_k || model.min_p || model.state_dtype || model.keep_alive || model.repetition_penalty);
  EXPECT_EQ(origin_of(config, "models.\"qwen3:8b\".pin"), "hearth.toml:21");
}

TEST(Config, LaterLayersWin) {
  Desk desk;
  desk.write("hearth.toml", "[server]\nport = 1001\n");
  EXPECT_EQ(origin_of(desk.loaded(), "server.port"), "hearth.toml:2");
  desk.write(".env", "# mine\nexport HEARTH_SERVER_PORT=1002\nOTHER=x\n");
  EXPECT_EQ(desk.loaded().server.port, 1002);
  EXPECT_EQ(origin_of(desk.loaded(), "server.port"), ".env:2");
  desk.env("HEARTH_SERVER_PORT=1003");
  EXPECT_EQ(desk.loaded().server.port, 1003);
  EXPECT_EQ(origin_of(desk.loaded(), "server.port"), "HEARTH_SERVER_PORT");
  desk.flag("server.port", "1004");
  EXPECT_EQ(desk.loaded().server.port, 1004);
  EXPECT_EQ(origin_of(desk.loaded(), "server.port"), "flag");
  EXPECT_EQ(origin_of(desk.loaded(), "server.host"), "default");
}

TEST(Config, FindsItsFile) {
  Desk desk;
  desk.env("HOME=" + (desk.folder / "home").string());
  desk.write("home/.config/hearth/hearth.toml", "[server]\nport = 1\n");
  EXPECT_EQ(desk.loaded().server.port, 1);
  desk.write("xdg/hearth/hearth.toml", "[server]\nport = 2\n").env("XDG_CONFIG_HOME=" + (desk.folder / "xdg").string());
  EXPECT_EQ(desk.loaded().server.port, 2);
  desk.write("hearth.toml", "[server]\nport = 3\n");
  EXPECT_EQ(desk.loaded().server.port, 3);
  desk.write("other.toml", "[server]\nport = 4\n").env("HEARTH_CONFIG=" + (desk.folder / "other.toml").string());
  EXPECT_EQ(desk.loaded().server.port, 4);
  desk.write("given.toml", "[server]\nport = 5\n").options.file = desk.folder / "given.toml";
  EXPECT_EQ(desk.loaded().server.port, 5);
  desk.options.file = desk.folder / "none.toml";
  EXPECT_EQ(desk.problem(), "--config names " + (desk.folder / "none.toml").string() + ", which is no file");
  EXPECT_EQ(load(desk.options).error().code(), Code::kNotFound);
}

TEST(Config, UnknownKeysNameTheNearest) {
  EXPECT_EQ(problem_of("[server]\nhost = \"x\"\nprot = 1\n"),
            "hearth.toml:3: unknown key in [server] 'prot', did you mean 'port'?");
  EXPECT_EQ(problem_of("[sever]\n"), "hearth.toml:1: unknown section 'sever', did you mean 'server'?");
  EXPECT_EQ(problem_of("[colours]\n"),
            "hearth.toml:1: unknown section 'colours'; there are: server, memory, llm, pictures, planner, models, "
            "presets");
  EXPECT_EQ(problem_of("[models.\"a\"]\ntemprature = 1\n"),
            "hearth.toml:2: unknown key in [models.\"a\"] 'temprature', did you mean 'temperature'?");
  EXPECT_EQ(Desk().env("HEARTH_SERVER_PROT=1").problem(),
            "HEARTH_SERVER_PROT: unknown variable 'HEARTH_SERVER_PROT', did you mean 'HEARTH_SERVER_PORT'?");
  EXPECT_EQ(Desk().flag("server.prot", "1").problem(), "flag: unknown key 'server.prot', did you mean 'server.port'?");
}

TEST(Config, UnknownVariablesAreRefusedWhateverTheyBeginWith) {
  EXPECT_EQ(Desk().env("HEARTH_SERVR_PORT=9").problem(),
            "HEARTH_SERVR_PORT: unknown variable 'HEARTH_SERVR_PORT', did you mean 'HEARTH_SERVER_PORT'?");
  EXPECT_EQ(Desk().write(".env", "\nHEARTH_CONFG=x\n").problem(),
            ".env:2: unknown variable 'HEARTH_CONFG', did you mean 'HEARTH_CONFIG'?");
  const std::string far = Desk().env("HEARTH_ZZZZZZZZZZZZZZZZZZZZZZZ=1").problem();
  EXPECT_NE(far.find("; there are: HEARTH_SERVER_HOST, "), std::string::npos) << far;
  Desk desk;
  for (const char* known : {"HEARTH_CPU_ISA=plain", "HEARTH_CACHE=/x", "HEARTH_BIN=/x", "HEARTH_SOURCE_DIR=/y",
                            "HEARTH_TEST_SMOLLM2=/z", "HEARTH_FUZZ_SECONDS=1", "HEARTHSTONE=1"}) {
    desk.env(known);
  }
  EXPECT_EQ(desk.problem(), "accepted");
}

TEST(Config, WrongTypesSayGotAndWanted) {
  EXPECT_EQ(problem_of("[server]\nport = \"abc\"\n"),
            "hearth.toml:2: server.port is \"abc\", wanted a whole number from 1 to 65535");
  EXPECT_EQ(problem_of("[server]\nport = 1.5\n"),
            "hearth.toml:2: server.port is 1.5, wanted a whole number from 1 to 65535");
  EXPECT_EQ(problem_of("[server]\nhost = 1\n"), "hearth.toml:2: server.host is 1, wanted a text");
  EXPECT_EQ(problem_of("[server]\nallowed_hosts = \"x\"\n"),
            "hearth.toml:2: server.allowed_hosts is \"x\", wanted a list of texts");
  EXPECT_EQ(problem_of("[server]\nallowed_hosts = [1]\n"),
            "hearth.toml:2: server.allowed_hosts is a list, wanted a list of texts");
  EXPECT_EQ(problem_of("[server]\nheader_timeout = 10\n"),
            "hearth.toml:2: server.header_timeout is 10, wanted a duration such as 30s, 5m or 2h, from 100ms to 1h");
  EXPECT_EQ(problem_of("[memory]\nbudget = \"lots\"\n"),
            "hearth.toml:2: memory.budget is \"lots\", wanted a size such as 512MiB or 1.5GiB, from 64MiB to 65536GiB");
  EXPECT_EQ(problem_of("[llm]\nstate_dtype = \"int3\"\n"),
            "hearth.toml:2: llm.state_dtype is \"int3\", wanted one of f16, bf16, f32");
  EXPECT_EQ(problem_of("[models.\"a\"]\npin = 1\n"), "hearth.toml:2: models.\"a\".pin is 1, wanted true or false");
  EXPECT_EQ(problem_of("[models.\"a\"]\npath = []\n"), "hearth.toml:2: models.\"a\".path is a list, wanted a path");
  EXPECT_EQ(problem_of("[models.\"a\"]\ntop_p = \"x\"\n"),
            "hearth.toml:2: models.\"a\".top_p is \"x\", wanted a number from 0 to 1");
  EXPECT_EQ(problem_of("server = 1\n"), "hearth.toml:1: server is 1, wanted a table [server]");
  EXPECT_EQ(problem_of("[models]\na = 1\n"), "hearth.toml:2: models.a is 1, wanted a table [models.\"a\"]");
}

TEST(Config, OutOfRange) {
  EXPECT_EQ(problem_of("[server]\nport = 0\n"),
            "hearth.toml:2: server.port is 0, wanted a whole number from 1 to 65535");
  EXPECT_EQ(problem_of("[server]\nport = 65536\n"),
            "hearth.toml:2: server.port is 65536, wanted a whole number from 1 to 65535");
  EXPECT_EQ(problem_of("[server]\nmax_body = \"\"\n"),
            "hearth.toml:2: server.max_body is \"\", wanted a size such as 512MiB or 1.5GiB, from 1KiB to 1GiB");
  EXPECT_EQ(problem_of("[models.\"a\"]\ntop_p = 1.5\n"),
            "hearth.toml:2: models.\"a\".top_p is 1.5, wanted a number from 0 to 1");
  EXPECT_EQ(problem_of("[models.\"a\"]\nseed = -1\n"),
            "hearth.toml:2: models.\"a\".seed is -1, wanted a whole number from 0 to 9007199254740991");
  EXPECT_EQ(Desk().env("HEARTH_LLM_PARALLEL=0").problem(),
            "HEARTH_LLM_PARALLEL: llm.parallel is '0', wanted a whole number from 1 to 1024");
  EXPECT_EQ(Desk().write(".env", "\nHEARTH_LLM_PARALLEL=many\n").problem(),
            ".env:2: llm.parallel is 'many', wanted a whole number from 1 to 1024");
  EXPECT_EQ(Desk().flag("llm.keep_alive", "soon").problem(),
            "flag: llm.keep_alive is 'soon', wanted a duration such as 30s, 5m or 2h, from 0s to 3650d");
}

TEST(Config, SyntaxErrorsHaveAPlace) {
  std::string problem = problem_of("[server]\nport = = 1\n");
  EXPECT_TRUE(problem.starts_with("hearth.toml:2:")) << problem;
  EXPECT_EQ(Desk().write(".env", "A=1\nnonsense\n").problem(), ".env:2: expected NAME=value");
  EXPECT_EQ(Desk().write(".env", "A=\"x\n").problem(), ".env:1: the quote of A does not end");
}

TEST(Config, AllProblemsAtOnceInOrder) {
  EXPECT_EQ(problem_of("[server]\nprot = 1\nhost = 2\n[llm]\nparallel = 0\n"),
            "hearth.toml:2: unknown key in [server] 'prot', did you mean 'port'?\n"
            "hearth.toml:3: server.host is 2, wanted a text\n"
            "hearth.toml:5: llm.parallel is 0, wanted a whole number from 1 to 1024");
}

TEST(Config, AnAliasStandsForOneModel) {
  EXPECT_EQ(problem_of("[models.\"a\"]\nalias = [\"x\"]\n[models.\"b\"]\nalias = [\"x\"]\n"),
            "hearth.toml: models.\"b\".alias 'x' already stands for model \"a\"");
  EXPECT_EQ(problem_of("[models.\"a\"]\nalias = [\"b\"]\n[models.\"b\"]\n"),
            "hearth.toml: models.\"a\".alias 'b' already stands for model \"b\"");
}

TEST(Config, SecretsAreNeverPrinted) {
  Desk desk;
  desk.env("HEARTH_SERVER_API_KEY=hunter2");
  EXPECT_EQ(desk.loaded().server.api_key, "hunter2");
  std::string shown = show(desk.loaded());
  EXPECT_EQ(shown.find("hunter2"), std::string::npos);
  EXPECT_NE(shown.find("********"), std::string::npos);
  EXPECT_EQ(problem_of("[server]\napi_key = 12345\n"),
            "hearth.toml:2: server.api_key is a whole number, wanted a text");
}

TEST(Config, ShowTellsOrigins) {
  std::string shown =
      show(Desk().write("hearth.toml", "[server]\nport = 9000\n[models.\"a\"]\nkeep_alive = \"90s\"\n").loaded());
  auto has = [&](std::string_view line) { return shown.find(std::string(line) + "\n") != std::string::npos; };
  EXPECT_TRUE(has("server.port                = 9000                     # hearth.toml:2")) << shown;
  EXPECT_TRUE(has("llm.keep_alive             = 30m                      # default")) << shown;
  EXPECT_TRUE(has("memory.budget              = auto                     # default")) << shown;
  EXPECT_TRUE(has("models.\"a\".keep_alive      = 90s                      # hearth.toml:4")) << shown;
}

TEST(Config, TheExampleLoadsAsItIsAndWithEveryLineUncommented) {
  EXPECT_EQ(Desk().write("hearth.toml", example()).problem(), "accepted");
  std::istringstream lines(example());
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    bool is_setting = line.starts_with("# ") && (line.find(" = ") != line.npos || line.starts_with("# ["));
    all += (is_setting ? line.substr(2) : line) + "\n";
  }
  Config config = Desk().write("hearth.toml", all).loaded();
  EXPECT_EQ(config.server.port, 8188);
  ASSERT_EQ(config.models.size(), 1u);
  EXPECT_EQ(config.effective.size(), fields().size());  // every field was set
}

TEST(Config, PresetsAreShippedChangedAndAdded) {
  Config config = Desk().write("hearth.toml", "[presets.quality]\nsteps = 40\n[presets.tiny]\nwidth = 128\n").loaded();
  ASSERT_EQ(config.presets.size(), 4u);
  EXPECT_EQ(config.presets[0].name, "balanced");
  EXPECT_EQ(config.presets[0].steps, 20);
  EXPECT_EQ(config.presets[1].batch->most, 8);
  EXPECT_FALSE(config.presets[1].batch->is_auto);
  EXPECT_EQ(config.presets[2].name, "quality");
  EXPECT_EQ(config.presets[2].steps, 40) << "the file's";
  EXPECT_EQ(config.presets[2].cfg, 9.0) << "the shipped one's";
  EXPECT_EQ(config.presets[3].width, 128);
  EXPECT_FALSE(config.presets[3].steps) << "left to the program";
}

TEST(Config, ABatchIsANumberOrAsManyAsFit) {
  const Config config =
      Desk().write("hearth.toml", "[presets.a]\nbatch = 4\n[presets.b]\nbatch = \"auto\"\n[presets.c]\nbatch = "
                                  "\"auto:32\"\n").loaded();
  EXPECT_EQ(config.presets[3].batch->most, 4);
  EXPECT_FALSE(config.presets[3].batch->is_auto);
  EXPECT_EQ(config.presets[4].batch->most, 8);
  EXPECT_TRUE(config.presets[4].batch->is_auto);
  EXPECT_EQ(config.presets[5].batch->most, 32);
  EXPECT_TRUE(config.presets[5].batch->is_auto);
  for (const char* wrong : {"batch = 0", "batch = \"many\"", "batch = \"auto:\"", "batch = 5000", "batch = true"}) {
    const std::string problem = problem_of(std::string("[presets.a]\n") + wrong + "\n");
    EXPECT_NE(problem.find("wanted a whole number from 1 to 4096, auto or auto:N"), std::string::npos) << problem;
  }
}

TEST(Config, PlansHaveAPrice) {
  EXPECT_EQ(Desk().loaded().planner.price_per_kwh, 0.3);
  const Config config =
      Desk().write("hearth.toml", "[planner]\nprice_per_kwh = 0.42\ncurrency = \"EUR \"\npower = 65\n").loaded();
  EXPECT_EQ(config.planner.price_per_kwh, 0.42);
  EXPECT_EQ(config.planner.currency, "EUR ");
  EXPECT_EQ(config.planner.power_w, 65);
}

TEST(Config, TheTableIsSound) {
  for (const Field& field : fields()) {
    EXPECT_EQ(find_field(field.section, field.key), &field) << field.path() << " stands twice";
    EXPECT_TRUE(field.help.ends_with('.')) << field.path();
    if (field.is_of_named()) continue;
    EXPECT_TRUE(parse_setting(field, field.fallback).has_value()) << field.path();
  }
}

TEST(Config, TheDocumentationHoldsTheTable) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR is not set";
  std::ifstream file(fs::path(root) / "docs/configuration.md");
  std::stringstream text;
  text << file.rdbuf();
  for (const std::string& table : {markdown(), variables_markdown()}) {
    EXPECT_NE(text.str().find(table), std::string::npos) << "put this into docs/configuration.md:\n" << table;
  }
}

TEST(Dotenv, ReadsQuotesAndComments) {
  auto lines =
      parse_dotenv("# c\n\nA=1\r\nexport B = \"two words\\n\\\"x\\\"\" # note\nC='$x # y'\nD=v # note\nE=\n").value();
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0].value, "1");
  EXPECT_EQ(lines[1].name, "B");
  EXPECT_EQ(lines[1].value, "two words\n\"x\"");
  EXPECT_EQ(lines[1].line, 4);
  EXPECT_EQ(lines[2].value, "$x # y");
  EXPECT_EQ(lines[3].value, "v");
  EXPECT_EQ(lines[4].value, "");
  for (const char* bad : {"=x", "1A=x", "A B=x", "A='x", "A=\"x\" y"})
    EXPECT_FALSE(parse_dotenv(bad).has_value()) << bad;
}

TEST(Duration, ReadsAndWrites) {
  EXPECT_EQ(parse_duration("30s").value(), 30s);
  EXPECT_EQ(parse_duration("1.5h").value(), 90min);
  EXPECT_EQ(parse_duration("250ms").value(), 250ms);
  EXPECT_EQ(parse_duration("0").value(), 0ms);
  for (const char* bad : {"", "30", "s", "-5s", "5 s", "5x", "1e9h", "nan", "99999d"}) {
    auto duration = parse_duration(bad);
    ASSERT_FALSE(duration.has_value()) << bad;
    EXPECT_EQ(duration.error().message(), std::string("'") + bad + "' is not a duration; write 30s, 5m, 2h or 250ms");
  }
  for (const char* text : {"0s", "250ms", "90s", "5m", "2h", "3d"})
    EXPECT_EQ(write_duration(parse_duration(text).value()), text);
}

}  // namespace
}  // namespace hearth::config
