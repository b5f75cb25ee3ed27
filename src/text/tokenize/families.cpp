#include "text/tokenize/families.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth::text {
namespace {

// Fragments the patterns of the families are put together from.
const std::string kContractions = R"((?i:'s|'t|'re|'ve|'m|'ll|'d))";
const std::string kSpaceTail = R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
const std::string kLead = R"([^\r\n\p{L}\p{N}]?)";
const std::string kUpper = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])";
const std::string kLower = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])";
const std::string kUpperNotHan = R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])";
const std::string kLowerNotHan = R"([\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]])";

// A word in camel case: capitals then small letters, or capitals alone; `suffix` may follow.
std::string cased_word(const std::string& upper, const std::string& lower, const std::string& suffix) {
  return kLead + upper + "*" + lower + "+" + suffix + "|" + kLead + upper + "+" + lower + "*" + suffix;
}

const std::string kLlama3 = kContractions + "|" + kLead + R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" + kSpaceTail;
const std::string kNoContractions = kLead + R"(\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)" + kSpaceTail;
const std::string kQwen2 = kContractions + "|" + kNoContractions;
const std::string kQwen35 =
    kContractions + "|" + kLead + R"([\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)" + kSpaceTail;
const std::string kManyDigits =
    kContractions + "|" + kLead + R"(\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)" + kSpaceTail;
const std::string kTekken = cased_word(kUpper, kLower, "") + R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + kSpaceTail;
const std::string kGpt4o =
    cased_word(kUpper, kLower, kContractions + "?") + R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + kSpaceTail;
const std::string kYoutu =
    cased_word(kUpper, kLower, kContractions + "?") + R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*)" + kSpaceTail;
const std::string kKimi = R"([\p{Han}]+|)" + cased_word(kUpperNotHan, kLowerNotHan, kContractions + "?") +
                          R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)" + kSpaceTail;
const std::string kJais2 =
    kContractions + "|" + kLead +
    R"(\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s{512}(?!\S)|\s{256}(?!\S)|\s{128}(?!\S))"
    R"(|\s{64}(?!\S)|\s{32}(?!\S)|\s{16}(?!\S)|\s{8}(?!\S)|\s{4}(?!\S)|\s{1,2}(?!\S)|\s{1})";
const std::string kSeedCoder = kContractions + "|" + kLead + R"(\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+)" + kSpaceTail;
const std::string kExaoneMoe =
    kContractions + "|" + kLead +
    R"((?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
const std::string kDeepseek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*)" +
    kSpaceTail;
constexpr const char* kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kSpark =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+)"
    R"(|[\r\n]|\s+(?!\S)|\s+)";
constexpr const char* kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
// Cased letters as the DeepSeek LLM tokenizer lists them.
constexpr const char* kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-)"
    R"(ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-ώᾀ-ᾴᾶ-ᾼιῂ-ῄῆ-ῌῐ-ΐῖ-Ίῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤΩℨK-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮ)"
    R"(ⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr const char* kHangulToCjk = "[一-龥ࠀ-一가-퟿]+";
constexpr const char* kKanaAndHan = "[一-龥぀-ゟ゠-ヿ]+";
constexpr const char* kAsianScripts =
    R"([一-鿿㐀-䶿豈-﫿぀-ゟ゠-ヿ･-ﾟ⼀-⿟เ-๿຀-໿ក-៿က-႟ꩠ-ꩿꧠ-꧿가-힯ᄀ-ᇿ]+)";
constexpr const char* kNewlineRuns = R"([^\n]+|[\n]+)";
// Groups of three digits counted from the right: 1234567 -> 1 234 567.
constexpr const char* kDigitGroups = R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))";

struct Row {
  std::vector<std::string_view> names;
  std::vector<std::string> patterns;  // each an isolating split, in order
  bool ignore_merges = false;
  bool adds_bos = false;
  bool composes = false;  // the family's own file normalises to NFC first
};

const std::vector<Row>& rows() {
  static const std::string gpt2(kGpt2Pattern);
  static const std::vector<Row> table = {
      {{"gpt-2", "gpt2", "phi-2", "jina-es", "jina-de", "gigachat", "jina-v1-en", "jina-v2-code", "jina-v2-es",
        "jina-v2-de", "roberta-bpe", "a.x-4.0", "mellum", "modern-bert", "jais", "trillion", "granite-docling",
        "exaone4"},
       {gpt2}},
      {{"mpt", "olmo"}, {gpt2}, false, false, true},
      {{"command-r"}, {R"(\p{N})", gpt2}, false, false, true},
      {{"starcoder", "refact", "smollm", "codeshell", "exaone", "minerva-7b", "mellum2"},
       {R"(\p{N})", gpt2}},
      {{"llama3", "llama-v3", "llama-bpe", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2", "jina-v5-nano"},
       {kLlama3}, true, true},
      {{"glm4", "glm5"}, {kLlama3}, true},
      {{"dbrx", "smaug-bpe", "chatglm-bpe"}, {kLlama3}},
      {{"qwen2", "deepseek-r1-qwen", "f2llmv2", "megrez"}, {kQwen2}, false, false, true},
      {{"kormo", "stablelm2", "hunyuan", "solar-open", "grok-2"}, {kQwen2}},
      {{"laguna"}, {kNewlineRuns, kQwen2}},
      {{"qwen35"}, {kQwen35}, false, false, true},
      {{"ufakzeka"}, {kNoContractions}},
      {{"minicpm5"}, {R"(\p{N}{1,3})", kManyDigits}, true},
      {{"tekken"}, {kTekken}, true, true},
      {{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, {kGpt4o}},
      {{"granite-embed-multi-97m"}, {kGpt4o}, true},
      {{"tiny_aya", "cohere2moe"}, {R"(\d{1,3}(?=(?:\d{3})*\b))", kGpt4o}},
      {{"youtu"},
       {"[가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+", kYoutu},
       true},
      {{"kimi-k2"}, {kKimi}},
      {{"jais-2"}, {kJais2}},
      {{"bailingmoe", "bailingmoe2", "llada-moe"}, {kBailing}},
      {{"seed-coder"}, {kSeedCoder}},
      {{"exaone-moe"}, {kExaoneMoe}},
      {{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, {R"(\p{N}{1,3})", kKanaAndHan, kDeepseek3}},
      {{"spark2_5"}, {R"(\p{N}{1,3})", kKanaAndHan, kSpark, R"(\p{N})"}},
      {{"afmoe"}, {kDigitGroups, kAsianScripts, kDeepseek3}},
      {{"deepseek-llm"},
       {R"([\r\n])", kDeepseekLetters, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", R"(\s+$)", kHangulToCjk, R"(\p{N})"}},
      {{"deepseek-coder"}, {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kHangulToCjk, R"(\p{N})"}},
      {{"falcon"}, {R"([\p{P}\$\+<=>\^~\|`]+)", gpt2, "[0-9][0-9][0-9]"}},
      {{"default"}, {R"([\p{P}\$\+<=>\^~\|]+)", gpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}},
      {{"poro-chat", "bloom", "gpt3-finnish"}, {kBloom}},
      {{"viking"}, {kBloom, R"(\p{N})"}},
      {{"superbpe"}, {R"(\p{N}+)", R"((?=(\d{3})+(?!\d)))"}},
      {{"chameleon"},
       {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", R"(\p{N})",
        std::string(kPunctuationPattern), gpt2},
       false, true},
  };
  return table;
}

// Families that spell like SentencePiece: no byte alphabet, spaces as U+2581, cut at line ends only.
Family sentencepiece_family(bool whole_newline_runs) {
  Family family{.is_byte_level = false, .escapes_spaces = true, .whole_newline_runs = whole_newline_runs};
  family.adds_bos = whole_newline_runs;  // the Gemma files
  family.pre_tokenizer.add(split(kNewlineRuns));
  return family;
}

Family whitespace_family() {
  Family family{.is_byte_level = false};
  family.pre_tokenizer.add(split(R"(\s)", SplitBehavior::kRemoved));
  family.pre_tokenizer.add(metaspace("\xE2\x96\x81", PrependScheme::kNever, false));
  return family;
}

}  // namespace

Family make_family(std::string_view name) {
  if (name == "gemma4" || name == "granite-embed-multi-311m") return sentencepiece_family(true);
  if (name == "sarvam-moe") return sentencepiece_family(false);
  if (name == "whitespace") return whitespace_family();
  for (const Row& row : rows()) {
    if (std::find(row.names.begin(), row.names.end(), name) == row.names.end()) continue;
    Family family{.ignore_merges = row.ignore_merges, .adds_bos = row.adds_bos, .composes = row.composes};
    for (const std::string& pattern : row.patterns) family.pre_tokenizer.add(split(pattern));
    family.pre_tokenizer.add(byte_level(false, false));
    return family;
  }
  throw Error(Code::kUnsupported, fmt::format("unknown pre-tokenizer '{}' (tokenizer.ggml.pre); known are {}", name,
                                              family_names()));
}

std::string family_names() {
  std::vector<std::string_view> names = {"gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace"};
  for (const Row& row : rows()) names.insert(names.end(), row.names.begin(), row.names.end());
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, ", "));
}

}  // namespace hearth::text
