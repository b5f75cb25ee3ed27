#include "text/template/pretty_print.h"

#include <algorithm>

#include "text/template/code_points.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;
constexpr size_t kWidth = 80;

class PrettyPrinter {
 public:
  explicit PrettyPrinter(Budget& budget) : budget_(budget) {}

  /// Dicts with sorted keys, all the way down; pprint prints those.
  PyValue sorted(const PyValue& value) {
    budget_.charge();
    if (value.is(Kind::kList) || value.is(Kind::kTuple)) {
      Items items;
      for (const PyValue& item : value.items()) items.push_back(sorted(item));
      return value.is(Kind::kList) ? PyValue::list(std::move(items)) : PyValue::tuple(std::move(items));
    }
    if (!value.is_dict()) return value;
    auto members = value.dict()->members;
    std::stable_sort(members.begin(), members.end(), [&](const auto& a, const auto& b) {
      bool comparable = a.first.kind() == b.first.kind() || (a.first.is_number() && b.first.is_number());
      if (comparable) return py_less(a.first, b.first, budget_);
      return a.first.type_name() < b.first.type_name();
    });
    auto box = std::make_shared<DictBox>();
    for (auto& [key, member] : members) box->set(key, sorted(member), budget_);
    return PyValue::dict(std::move(box));
  }

  void write(const PyValue& value, size_t indent, size_t allowance) {
    std::string line = py_repr(value, budget_);
    bool fits = code_point_count(line) + indent + allowance <= kWidth;
    bool nests = value.is(Kind::kList) || value.is(Kind::kTuple) || value.is_dict();
    if (fits || !nests) {
      out_ += line;
    } else if (value.is_dict()) {
      write_dict(*value.dict(), indent, allowance);
    } else {
      write_items(value, indent, allowance);
    }
    budget_.charge_text(out_.size());
  }

  std::string take() { return std::move(out_); }

 private:
  void write_items(const PyValue& value, size_t indent, size_t allowance) {
    bool is_list = value.is(Kind::kList);
    const Items& items = value.items();
    std::string close = is_list ? "]" : items.size() == 1 ? ",)" : ")";
    out_ += is_list ? "[" : "(";
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out_ += ",\n" + std::string(indent + 1, ' ');
      write(items[i], indent + 1, i + 1 == items.size() ? allowance + close.size() : 1);
    }
    out_ += close;
  }

  void write_dict(const DictBox& box, size_t indent, size_t allowance) {
    out_ += "{";
    for (size_t i = 0; i < box.members.size(); ++i) {
      if (i > 0) out_ += ",\n" + std::string(indent + 1, ' ');
      std::string key = py_repr(box.members[i].first, budget_);
      out_ += key + ": ";
      bool last = i + 1 == box.members.size();
      write(box.members[i].second, indent + 1 + code_point_count(key) + 2, last ? allowance + 1 : 1);
    }
    out_ += "}";
  }

  Budget& budget_;
  std::string out_;
};

}  // namespace

std::string pretty_print(const PyValue& value, Budget& budget) {
  PrettyPrinter printer(budget);
  printer.write(printer.sorted(value), 0, 0);
  return printer.take();
}

}  // namespace hearth::text::jinja
