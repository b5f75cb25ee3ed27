// Markup: text that the filters safe, escape and forceescape mark as HTML. It stays marked through string methods,
// and whatever plain text joins it is escaped, as markupsafe does; templates that build prompts out of `x|safe` meet
// this rule whether they mean to or not.
#pragma once
#include <string>
#include <string_view>

#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

/// & < > " ' as HTML entities.
std::string escape_html(std::string_view text);

/// str(value), escaped unless it is Markup.
std::string markup_text(const PyValue& value, Budget& budget);

/// The text without tags and comments, entities resolved, runs of white space as one space.
std::string strip_tags(std::string_view text);

}  // namespace hearth::text::jinja
