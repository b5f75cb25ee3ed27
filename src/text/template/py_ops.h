// What Python's operators do to PyValues. Every function that walks a value or makes a new one is paid from the
// budget; what Python refuses with TypeError, ValueError or ZeroDivisionError throws Error{kInvalidArgument}.
#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

// Comparing.
bool py_equal(const PyValue& a, const PyValue& b, Budget& budget);
bool py_less(const PyValue& a, const PyValue& b, Budget& budget, std::string_view op = "<");
bool py_less_equal(const PyValue& a, const PyValue& b, Budget& budget, std::string_view op = "<=");
bool py_contains(const PyValue& container, const PyValue& item, Budget& budget);
size_t py_hash(const PyValue& value, Budget& budget);
size_t hash_text(std::string_view text);

// Arithmetic; '+', '*' and '%' also join, repeat and format.
PyValue py_add(const PyValue& a, const PyValue& b, Budget& budget);
PyValue py_subtract(const PyValue& a, const PyValue& b);
PyValue py_multiply(const PyValue& a, const PyValue& b, Budget& budget);
PyValue py_divide(const PyValue& a, const PyValue& b);
PyValue py_floor_divide(const PyValue& a, const PyValue& b);
PyValue py_modulo(const PyValue& a, const PyValue& b, Budget& budget);
PyValue py_power(const PyValue& a, const PyValue& b, Budget& budget);
PyValue py_negate(const PyValue& a);
PyValue py_positive(const PyValue& a);

// Sequences. Indices and lengths of strings count code points.
std::optional<Int> py_length(const PyValue& value);        // nothing when the type has no len()
Int checked_length(const PyValue& value);
bool is_iterable(const PyValue& value);
Items iterate(const PyValue& value, Budget& budget);       // every item; an iterator is used up
std::optional<PyValue> item_at(const PyValue& sequence, Int index);  // negative counts from the end
struct SliceBounds {
  std::optional<Int> start, stop, step;
};
PyValue slice_of(const PyValue& sequence, const SliceBounds& bounds, Budget& budget);
PyValue substring(const PyValue& text, Int start, Int stop);  // code points [start, stop), both in range
PyValue repeat_text(const PyValue& text, Int count, Budget& budget);

/// An integer argument, or an error that names what wanted it.
Int integer_argument(const PyValue& value, std::string_view what);

/// Throws the message of an undefined value; nothing for any other value.
void require_defined(const PyValue& value);

}  // namespace hearth::text::jinja
