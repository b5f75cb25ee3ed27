#include "formats/pickle/machine.h"

#include <bit>
#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"
#include "formats/pickle/calls.h"

namespace hearth::pickle {
namespace {

constexpr int kFirstProtocol = 2, kLastProtocol = 5;
constexpr size_t kMaxStack = 1 << 20;

class Machine {
 public:
  Machine(std::string_view pickle, int64_t budget, const std::string& name)
      : text_(pickle), budget_(budget), name_(name), calls_(program_, name) {}

  Program run() {
    while (!step(static_cast<unsigned char>(take(1)[0]))) {
    }
    program_.result = pop();
    program_.bytes_read = at_;
    return std::move(program_);
  }

 private:
  [[noreturn]] void corrupt(std::string_view what) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: its pickle is damaged at byte {}: {}", name_, at_, what));
  }

  // -- input --------------------------------------------------------------------------------------------------------

  std::string_view take(uint64_t count) {
    if (count > text_.size() - at_) corrupt("it ends too early");
    std::string_view bytes = text_.substr(at_, count);
    at_ += count;
    return bytes;
  }
  uint64_t little(int count) {
    std::string_view bytes = take(static_cast<uint64_t>(count));
    uint64_t value = 0;
    for (int i = count - 1; i >= 0; --i) value = value << 8 | static_cast<unsigned char>(bytes[static_cast<size_t>(i)]);
    return value;
  }
  std::string_view line() {
    size_t end = text_.find('\n', at_);
    if (end == text_.npos) corrupt("a line does not end");
    std::string_view found = text_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }

  // -- stack --------------------------------------------------------------------------------------------------------

  void spend(size_t bytes) {
    budget_ -= static_cast<int64_t>(bytes);
    if (budget_ < 0) corrupt("it makes more values than a checkpoint of this size can need");
  }
  void push(Id id) {
    if (stack_.size() >= kMaxStack) corrupt("its stack is too deep");
    stack_.push_back(id);
  }
  Id make(Node node) {
    spend(sizeof(Node) + node.items.size() * sizeof(Id));
    program_.nodes.push_back(std::move(node));
    return static_cast<Id>(program_.nodes.size() - 1);
  }
  void push_new(Node node) { push(make(std::move(node))); }
  void push_int(int64_t value) { push_new({.kind = Kind::kInt, .number = value}); }
  void push_text(Kind kind, uint64_t bytes) { push_new({.kind = kind, .text = take(bytes)}); }
  Id pop() {
    size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() <= floor) corrupt("its stack is empty");
    Id id = stack_.back();
    stack_.pop_back();
    return id;
  }
  Id top() {
    Id id = pop();
    stack_.push_back(id);
    return id;
  }
  // Everything above the last mark; takes the mark away.
  std::vector<Id> pop_to_mark() {
    if (marks_.empty()) corrupt("a mark is missing");
    auto first = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<Id> items(first, stack_.end());
    stack_.erase(first, stack_.end());
    marks_.pop_back();
    return items;
  }
  std::vector<Id> pop_some(int count) {
    std::vector<Id> items(static_cast<size_t>(count));
    for (auto item = items.rbegin(); item != items.rend(); ++item) *item = pop();
    return items;
  }

  // -- memo ---------------------------------------------------------------------------------------------------------

  void remember(uint64_t place) {
    // Picklers number their values from 0, one by one.
    if (place > memo_.size()) corrupt(fmt::format("memo {} is stored before {}", place, memo_.size()));
    if (place == memo_.size()) {
      spend(sizeof(Id));
      memo_.push_back(top());
    } else {
      memo_[place] = top();
    }
  }
  void recall(uint64_t place) {
    if (place >= memo_.size()) corrupt(fmt::format("memo {} was never stored", place));
    push(memo_[place]);
  }

  // -- containers ---------------------------------------------------------------------------------------------------

  void extend(const std::vector<Id>& items) {
    Node& into = program_.nodes[top()];
    if (into.kind == Kind::kNull) return;  // an empty value stays empty
    if (into.kind != Kind::kList && into.kind != Kind::kSet) corrupt("items are added to what is no list");
    spend(items.size() * sizeof(Id) * 2);  // vectors grow by doubling
    into.items.insert(into.items.end(), items.begin(), items.end());
  }
  void set_items(const std::vector<Id>& pairs) {
    Node& into = program_.nodes[top()];
    if (pairs.size() % 2 != 0) corrupt("a key without a value");
    if (into.kind == Kind::kNull) return;
    if (into.kind != Kind::kDict) corrupt("keys are set in what is no dictionary");
    spend(pairs.size() * sizeof(Id) * 2);
    into.items.insert(into.items.end(), pairs.begin(), pairs.end());
  }

  // -- opcodes ------------------------------------------------------------------------------------------------------

  void push_long(uint64_t bytes) {
    std::string_view digits = take(bytes);
    if (digits.size() > sizeof(int64_t)) {  // too large for anything a tensor needs; kept as it is spelled
      push_new({.kind = Kind::kBytes, .text = digits});
      return;
    }
    uint64_t value = !digits.empty() && (digits.back() & 0x80) ? ~uint64_t{0} : 0;
    for (size_t i = digits.size(); i-- > 0;) value = value << 8 | static_cast<unsigned char>(digits[i]);
    push_int(static_cast<int64_t>(value));
  }

  void push_double() {
    uint64_t bits = 0;
    for (char c : take(8)) bits = bits << 8 | static_cast<unsigned char>(c);
    push_new({.kind = Kind::kDouble, .number = static_cast<int64_t>(bits)});
  }

  void push_global(std::string_view module, std::string_view name) {
    push_new({.kind = Kind::kGlobal, .global = calls_.find(module, name)});
  }

  void push_stack_global() {
    std::vector<Id> names = pop_some(2);
    const Node &module = program_.node(names[0]), &name = program_.node(names[1]);
    if (module.kind != Kind::kText || name.kind != Kind::kText) corrupt("a name is no text");
    push_global(module.text, name.text);
  }

  void call() {
    Id arguments = pop(), function = pop();
    Node made = calls_.call(function, arguments);
    constexpr size_t kDimensions = 2 * 8 * sizeof(int64_t);
    if (made.kind == Kind::kTensor) spend(sizeof(TensorRef) + kDimensions);
    push_new(std::move(made));
  }

  // The state of an object: only ParameterDict keeps tensors there.
  void build() {
    Id state = pop();
    Id object = top();
    if (program_.node(object).kind != Kind::kDict) return;
    std::vector<Id> kept = calls_.parameters_in(state);
    spend(kept.size() * sizeof(Id) * 2);
    std::vector<Id>& items = program_.nodes[object].items;
    items.insert(items.end(), kept.begin(), kept.end());
  }

  // True at the end. Opcodes are named as in Python's pickletools.
  bool step(unsigned char opcode) {
    switch (opcode) {
      case '.': return true;  // STOP
      case 0x80: read_protocol(); break;  // PROTO
      case 0x95: take(8); break;  // FRAME
      case 'N': push_new({}); break;  // NONE
      case 0x88: push_new({.kind = Kind::kBool, .number = 1}); break;  // NEWTRUE
      case 0x89: push_new({.kind = Kind::kBool, .number = 0}); break;  // NEWFALSE
      case 'K': push_int(static_cast<int64_t>(little(1))); break;  // BININT1
      case 'M': push_int(static_cast<int64_t>(little(2))); break;  // BININT2
      case 'J': push_int(static_cast<int32_t>(little(4))); break;  // BININT
      case 0x8a: push_long(little(1)); break;  // LONG1
      case 0x8b: push_long(little(4)); break;  // LONG4
      case 'G': push_double(); break;  // BINFLOAT
      case 'U': push_text(Kind::kText, little(1)); break;  // SHORT_BINSTRING: Python 2's str
      case 'T': push_text(Kind::kText, little(4)); break;  // BINSTRING
      case 'X': push_text(Kind::kText, little(4)); break;  // BINUNICODE
      case 0x8c: push_text(Kind::kText, little(1)); break;  // SHORT_BINUNICODE
      case 0x8d: push_text(Kind::kText, little(8)); break;  // BINUNICODE8
      case 'C': push_text(Kind::kBytes, little(1)); break;  // SHORT_BINBYTES
      case 'B': push_text(Kind::kBytes, little(4)); break;  // BINBYTES
      case 0x8e: push_text(Kind::kBytes, little(8)); break;  // BINBYTES8
      case 0x96: push_text(Kind::kBytes, little(8)); break;  // BYTEARRAY8
      default: step_containers(opcode);
    }
    return false;
  }

  void step_containers(unsigned char opcode) {
    switch (opcode) {
      case '(':
        marks_.push_back(stack_.size());
        check_marks();
        break;  // MARK
      case ')': push_new({.kind = Kind::kTuple}); break;  // EMPTY_TUPLE
      case 0x85: push_new({.kind = Kind::kTuple, .items = pop_some(1)}); break;  // TUPLE1
      case 0x86: push_new({.kind = Kind::kTuple, .items = pop_some(2)}); break;  // TUPLE2
      case 0x87: push_new({.kind = Kind::kTuple, .items = pop_some(3)}); break;  // TUPLE3
      case 't': push_new({.kind = Kind::kTuple, .items = pop_to_mark()}); break;  // TUPLE
      case ']': push_new({.kind = Kind::kList}); break;  // EMPTY_LIST
      case 'l': push_new({.kind = Kind::kList, .items = pop_to_mark()}); break;  // LIST
      case '}': push_new({.kind = Kind::kDict}); break;  // EMPTY_DICT
      case 0x8f: push_new({.kind = Kind::kSet}); break;  // EMPTY_SET
      case 0x91: push_new({.kind = Kind::kSet, .items = pop_to_mark()}); break;  // FROZENSET
      case 'a': extend(pop_some(1)); break;  // APPEND
      case 'e': extend(pop_to_mark()); break;  // APPENDS
      case 0x90: extend(pop_to_mark()); break;  // ADDITEMS
      case 's': set_items(pop_some(2)); break;  // SETITEM
      case 'u': set_items(pop_to_mark()); break;  // SETITEMS
      default: step_others(opcode);
    }
  }

  void step_others(unsigned char opcode) {
    switch (opcode) {
      case 'q': remember(little(1)); break;  // BINPUT
      case 'r': remember(little(4)); break;  // LONG_BINPUT
      case 0x94: remember(memo_.size()); break;  // MEMOIZE
      case 'h': recall(little(1)); break;  // BINGET
      case 'j': recall(little(4)); break;  // LONG_BINGET
      case '0': drop(); break;  // POP
      case '1': pop_to_mark(); break;  // POP_MARK
      case '2': push(top()); break;  // DUP
      case 'c': push_global_lines(); break;  // GLOBAL
      case 0x93: push_stack_global(); break;  // STACK_GLOBAL
      case 'R': call(); break;  // REDUCE
      case 0x81: call(); break;  // NEWOBJ
      case 0x92:
        pop();
        call();
        break;  // NEWOBJ_EX: arguments by keyword are of no tensor
      case 'b': build(); break;  // BUILD
      case 'Q': {  // BINPERSID
        Id id = pop();
        spend(sizeof(Storage));
        push_new(calls_.storage(id));
        break;
      }
      default:
        throw Error(Code::kUnsupported,
                    fmt::format("{}: pickle opcode 0x{:02x} at byte {} is of no protocol from {} to {}; save the file "
                                "again with a current torch",
                                name_, opcode, at_ - 1, kFirstProtocol, kLastProtocol));
    }
  }

  void push_global_lines() {
    std::string_view module = line();
    push_global(module, line());
  }

  void read_protocol() {
    uint64_t protocol = little(1);
    if (protocol >= kFirstProtocol && protocol <= kLastProtocol) return;
    throw Error(Code::kUnsupported, fmt::format("{}: pickle protocol {}, expected {} to {}", name_, protocol,
                                                kFirstProtocol, kLastProtocol));
  }

  void check_marks() const {
    if (marks_.size() > kMaxStack) corrupt("its marks nest too deep");
  }

  // A mark on top of the stack is taken away by POP too.
  void drop() {
    if (!marks_.empty() && marks_.back() == stack_.size()) {
      marks_.pop_back();
    } else {
      pop();
    }
  }

  std::string_view text_;
  size_t at_ = 0;
  int64_t budget_;
  const std::string& name_;
  Program program_;
  Calls calls_;
  std::vector<Id> stack_, memo_;
  std::vector<size_t> marks_;
};

}  // namespace

Program run(std::string_view pickle, int64_t budget, const std::string& name) {
  return Machine(pickle, budget, name).run();
}

}  // namespace hearth::pickle
