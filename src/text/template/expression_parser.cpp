#include <algorithm>

#include <fmt/format.h>

#include "text/template/filters.h"
#include "text/template/parser.h"
#include "text/template/value_tests.h"

namespace hearth::text::jinja {
namespace {

constexpr int kMaxNesting = 120;   // brackets in brackets, blocks in blocks: the parser recurses this far
constexpr int kMaxHeight = 400;    // levels of one expression: a chain of 400 operators

template <class... Parts>
std::vector<ExprPtr> parts(Parts... items) {
  std::vector<ExprPtr> list;
  (list.push_back(std::move(items)), ...);
  return list;
}

bool is_constant_name(std::string_view name) {
  return name == "true" || name == "false" || name == "True" || name == "False" || name == "none" || name == "None";
}

PyValue constant_of(std::string_view name) {
  if (name == "none" || name == "None") return {};
  return PyValue::boolean(name == "true" || name == "True");
}

}  // namespace

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMaxNesting) {
    int line = parser_.tokens_.current().line;
    --parser_.depth_;
    syntax_error(line, fmt::format("nested deeper than {} levels", kMaxNesting));
  }
}

NameId ExpressionParser::intern(std::string_view name) {
  auto found = ids_.find(name);
  if (found != ids_.end()) return found->second;
  auto id = static_cast<NameId>(ast_.names.size());
  ast_.names.emplace_back(name);
  ids_.emplace(std::string(name), id);
  return id;
}

ExprPtr ExpressionParser::make(Expr::Kind kind, int line, std::vector<ExprPtr> items) {
  auto node = std::make_unique<Expr>();
  node->kind = kind;
  node->line = line;
  node->items = std::move(items);
  return finish(std::move(node));
}

ExprPtr ExpressionParser::binary(std::string op, int line, ExprPtr left, ExprPtr right) {
  ExprPtr node = make(Expr::Kind::kBinary, line, parts(std::move(left), std::move(right)));
  node->text = std::move(op);
  return node;
}

ExprPtr ExpressionParser::finish(ExprPtr node) const {
  auto include = [&](const ExprPtr& child) {
    if (child) node->height = std::max(node->height, child->height + 1);
  };
  for (const ExprPtr& item : node->items) include(item);
  for (const ExprPtr& argument : node->arguments) include(argument);
  for (const auto& [name, argument] : node->named) include(argument);
  include(node->star);
  include(node->double_star);
  if (node->height > kMaxHeight) {
    syntax_error(node->line, fmt::format("an expression of more than {} levels", kMaxHeight));
  }
  return node;
}

ExprPtr ExpressionParser::expression(bool with_conditional) {
  Nesting nesting(*this);
  return with_conditional ? conditional() : disjunction();
}

ExprPtr ExpressionParser::conditional() {
  int line = tokens_.current().line;
  ExprPtr value = disjunction();
  while (tokens_.skip_name("if")) {
    ExprPtr condition = disjunction();
    ExprPtr otherwise = tokens_.skip_name("else") ? expression() : nullptr;
    value = make(Expr::Kind::kConditional, line, parts(std::move(condition), std::move(value), std::move(otherwise)));
  }
  return value;
}

ExprPtr ExpressionParser::disjunction() {
  ExprPtr left = conjunction();
  while (tokens_.current().is_name("or")) {
    int line = tokens_.next().line;
    left = make(Expr::Kind::kOr, line, parts(std::move(left), conjunction()));
  }
  return left;
}

ExprPtr ExpressionParser::conjunction() {
  ExprPtr left = negation();
  while (tokens_.current().is_name("and")) {
    int line = tokens_.next().line;
    left = make(Expr::Kind::kAnd, line, parts(std::move(left), negation()));
  }
  return left;
}

ExprPtr ExpressionParser::negation() {
  if (!tokens_.current().is_name("not")) return comparison();
  Nesting nesting(*this);
  int line = tokens_.next().line;
  return make(Expr::Kind::kNot, line, parts(negation()));
}

ExprPtr ExpressionParser::comparison() {
  int line = tokens_.current().line;
  std::vector<ExprPtr> operands = parts(sum());
  std::vector<std::string> ops;
  while (true) {
    const Token& token = tokens_.current();
    bool compares = token.kind == Token::Kind::kOperator && (token.text == "==" || token.text == "!=" ||
                    token.text == "<" || token.text == ">" || token.text == "<=" || token.text == ">=");
    if (compares || token.is_name("in")) {
      ops.push_back(tokens_.next().text);
    } else if (token.is_name("not") && tokens_.look().is_name("in")) {
      tokens_.next();
      tokens_.next();
      ops.push_back("not in");
    } else {
      break;
    }
    operands.push_back(sum());
  }
  if (ops.empty()) return std::move(operands[0]);
  ExprPtr node = make(Expr::Kind::kCompare, line, std::move(operands));
  node->ops = std::move(ops);
  return node;
}

ExprPtr ExpressionParser::sum() {
  ExprPtr left = concatenation();
  while (tokens_.current().is_operator("+") || tokens_.current().is_operator("-")) {
    Token op = tokens_.next();
    left = binary(op.text, op.line, std::move(left), concatenation());
  }
  return left;
}

ExprPtr ExpressionParser::concatenation() {
  int line = tokens_.current().line;
  std::vector<ExprPtr> pieces = parts(product());
  while (tokens_.skip_operator("~")) pieces.push_back(product());
  if (pieces.size() == 1) return std::move(pieces[0]);
  return make(Expr::Kind::kConcat, line, std::move(pieces));
}

ExprPtr ExpressionParser::product() {
  ExprPtr left = power();
  while (true) {
    const Token& token = tokens_.current();
    bool multiplies =
        token.is_operator("*") || token.is_operator("/") || token.is_operator("//") || token.is_operator("%");
    if (!multiplies) return left;
    Token op = tokens_.next();
    left = binary(op.text, op.line, std::move(left), power());
  }
}

ExprPtr ExpressionParser::power() {
  ExprPtr left = unary();
  while (tokens_.current().is_operator("**")) {
    Token op = tokens_.next();
    left = binary(op.text, op.line, std::move(left), unary());
  }
  return left;
}

ExprPtr ExpressionParser::unary(bool with_filters) {
  ExprPtr node;
  const Token& token = tokens_.current();
  if (token.is_operator("-") || token.is_operator("+")) {
    Nesting nesting(*this);
    Token sign = tokens_.next();
    auto kind = sign.text == "-" ? Expr::Kind::kNegate : Expr::Kind::kPositive;
    node = make(kind, sign.line, parts(unary(false)));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filters ? filters_and_tests(std::move(node)) : std::move(node);
}

ExprPtr ExpressionParser::primary() {
  const Token& token = tokens_.current();
  ExprPtr node;
  switch (token.kind) {
    case Token::Kind::kName:
      if (is_constant_name(token.text)) {
        node = make(Expr::Kind::kConstant, token.line);
        node->value = constant_of(token.text);
      } else {
        node = make(Expr::Kind::kName, token.line);
        node->id = intern(token.text);
        ast_.reads.insert(token.text);
      }
      tokens_.next();
      return node;
    case Token::Kind::kString: {
      node = make(Expr::Kind::kConstant, token.line);
      std::string joined;
      while (tokens_.current().kind == Token::Kind::kString) joined += tokens_.next().text;
      node->value = PyValue::string(std::move(joined));
      return node;
    }
    case Token::Kind::kInteger:
    case Token::Kind::kFloat:
      node = make(Expr::Kind::kConstant, token.line);
      node->value = tokens_.next().number;
      return node;
    default: break;
  }
  if (tokens_.skip_operator("(")) {
    node = tuple(true, {}, true);
    tokens_.expect_operator(")");
    return node;
  }
  if (token.is_operator("[")) return list_literal();
  if (token.is_operator("{")) return dict_literal();
  syntax_error(token.line, fmt::format("unexpected {}, expected an expression", token.describe()));
}

bool ExpressionParser::at_tuple_end(std::string_view end_name) const {
  const Token& token = tokens_.current();
  bool closed = token.kind == Token::Kind::kPrintEnd || token.kind == Token::Kind::kBlockEnd || token.is_operator(")");
  return closed || (!end_name.empty() && token.is_name(end_name));
}

ExprPtr ExpressionParser::tuple(bool with_conditional, std::string_view end_name, bool in_parentheses) {
  int line = tokens_.current().line;
  std::vector<ExprPtr> items;
  bool is_tuple = false;
  while (!at_tuple_end(end_name)) {
    items.push_back(expression(with_conditional));
    if (!tokens_.skip_operator(",")) break;
    is_tuple = true;
  }
  if (!is_tuple && !items.empty()) return std::move(items[0]);
  if (!is_tuple && !in_parentheses) {
    syntax_error(line, fmt::format("Expected an expression, got {}", tokens_.current().describe()));
  }
  return make(Expr::Kind::kTuple, line, std::move(items));
}

ExprPtr ExpressionParser::list_literal() {
  int line = tokens_.next().line;
  std::vector<ExprPtr> items;
  while (!tokens_.current().is_operator("]")) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (tokens_.current().is_operator("]")) break;
    items.push_back(expression());
  }
  tokens_.expect_operator("]");
  return make(Expr::Kind::kList, line, std::move(items));
}

ExprPtr ExpressionParser::dict_literal() {
  int line = tokens_.next().line;
  std::vector<ExprPtr> items;
  while (!tokens_.current().is_operator("}")) {
    if (!items.empty()) tokens_.expect_operator(",");
    if (tokens_.current().is_operator("}")) break;
    items.push_back(expression());
    tokens_.expect_operator(":");
    items.push_back(expression());
  }
  tokens_.expect_operator("}");
  return make(Expr::Kind::kDict, line, std::move(items));
}

ExprPtr ExpressionParser::postfix(ExprPtr node) {
  while (true) {
    const Token& token = tokens_.current();
    if (token.is_operator(".") || token.is_operator("[")) {
      node = subscript(std::move(node));
    } else if (token.is_operator("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::filters_and_tests(ExprPtr node) {
  while (true) {
    const Token& token = tokens_.current();
    if (token.is_operator("|")) {
      node = filters(std::move(node), false);
    } else if (token.is_name("is")) {
      node = test(std::move(node));
    } else if (token.is_operator("(")) {
      node = call(std::move(node));
    } else {
      return node;
    }
  }
}

ExprPtr ExpressionParser::subscript(ExprPtr node) {
  Token open = tokens_.next();
  if (open.text == ".") {
    Token name = tokens_.next();
    if (name.kind == Token::Kind::kName) {
      ExprPtr attribute = make(Expr::Kind::kAttribute, open.line, parts(std::move(node)));
      attribute->text = name.text;
      return attribute;
    }
    if (name.kind != Token::Kind::kInteger) syntax_error(name.line, "expected name or number after '.'");
    ExprPtr index = make(Expr::Kind::kConstant, name.line);
    index->value = name.number;
    return make(Expr::Kind::kItem, open.line, parts(std::move(node), std::move(index)));
  }
  std::vector<ExprPtr> keys;
  while (!tokens_.current().is_operator("]")) {
    if (!keys.empty()) tokens_.expect_operator(",");
    keys.push_back(subscripted());
  }
  tokens_.expect_operator("]");
  ExprPtr key = keys.size() == 1 ? std::move(keys[0]) : make(Expr::Kind::kTuple, open.line, std::move(keys));
  return make(Expr::Kind::kItem, open.line, parts(std::move(node), std::move(key)));
}

ExprPtr ExpressionParser::subscripted() {
  int line = tokens_.current().line;
  auto at_end = [&] {
    const Token& token = tokens_.current();
    return token.is_operator(":") || token.is_operator("]") || token.is_operator(",");
  };
  ExprPtr start = tokens_.current().is_operator(":") ? nullptr : expression();
  if (!tokens_.skip_operator(":")) return start;
  ExprPtr stop = at_end() ? nullptr : expression();
  ExprPtr step = tokens_.skip_operator(":") && !at_end() ? expression() : nullptr;
  return make(Expr::Kind::kSlice, line, parts(std::move(start), std::move(stop), std::move(step)));
}

ExprPtr ExpressionParser::call(ExprPtr node) {
  ExprPtr made = make(Expr::Kind::kCall, tokens_.current().line, parts(std::move(node)));
  arguments(*made);
  return finish(std::move(made));
}

void ExpressionParser::arguments(Expr& node) {
  tokens_.expect_operator("(");
  bool first = true;
  while (!tokens_.current().is_operator(")")) {
    if (!first) {
      tokens_.expect_operator(",");
      if (tokens_.current().is_operator(")")) break;
    }
    first = false;
    one_argument(node);
  }
  tokens_.expect_operator(")");
}

void ExpressionParser::one_argument(Expr& node) {
  int line = tokens_.current().line;
  auto ensure = [&](bool in_order) {
    if (!in_order) syntax_error(line, "invalid syntax for function call expression: arguments are out of order");
  };
  if (tokens_.skip_operator("*")) {
    ensure(!node.star && !node.double_star);
    node.star = expression();
  } else if (tokens_.skip_operator("**")) {
    ensure(!node.double_star);
    node.double_star = expression();
  } else if (tokens_.current().kind == Token::Kind::kName && tokens_.look().is_operator("=")) {
    ensure(!node.double_star);
    std::string name = tokens_.next().text;
    tokens_.next();
    for (const auto& [given, value] : node.named) {
      if (given == name) syntax_error(line, fmt::format("keyword argument repeated: {}", name));
    }
    node.named.emplace_back(name, expression());
  } else {
    ensure(!node.star && !node.double_star && node.named.empty());
    node.arguments.push_back(expression());
  }
}

std::string ExpressionParser::dotted_name() {
  std::string name = tokens_.expect_name().text;
  while (tokens_.skip_operator(".")) name += "." + tokens_.expect_name().text;
  return name;
}

ExprPtr ExpressionParser::filters(ExprPtr operand, bool start_inline) {
  while (start_inline || tokens_.skip_operator("|")) {
    start_inline = false;
    int line = tokens_.current().line;
    ExprPtr node = make(Expr::Kind::kFilter, line, parts(std::move(operand)));
    node->text = dotted_name();
    if (!soft && !find_filter(node->text)) syntax_error(line, fmt::format("No filter named '{}'.", node->text));
    if (tokens_.current().is_operator("(")) arguments(*node);
    operand = finish(std::move(node));
  }
  return operand;
}

ExprPtr ExpressionParser::test(ExprPtr operand) {
  int line = tokens_.next().line;
  bool negated = tokens_.skip_name("not");
  ExprPtr node = make(Expr::Kind::kTest, line, parts(std::move(operand)));
  node->text = dotted_name();
  if (!soft && !find_test(node->text)) syntax_error(line, fmt::format("No test named '{}'.", node->text));
  const Token& token = tokens_.current();
  bool opens = token.is_operator("[") || token.is_operator("{");
  bool is_word = token.kind == Token::Kind::kName && token.text != "else" && token.text != "or" && token.text != "and";
  bool is_literal = token.kind == Token::Kind::kString || token.kind == Token::Kind::kInteger ||
                    token.kind == Token::Kind::kFloat;
  if (token.is_operator("(")) {
    arguments(*node);
  } else if (opens || is_word || is_literal) {
    if (token.is_name("is")) syntax_error(token.line, "You cannot chain multiple tests with is");
    node->arguments.push_back(postfix(primary()));
  }
  node = finish(std::move(node));
  return negated ? make(Expr::Kind::kNot, line, parts(std::move(node))) : std::move(node);
}

Target ExpressionParser::simple_target(bool allow_namespace) {
  Nesting nesting(*this);
  int line = tokens_.current().line;
  if (tokens_.skip_operator("(")) {
    Target inner;
    inner.kind = Target::Kind::kTuple;
    bool comma = false;
    while (!tokens_.current().is_operator(")")) {
      inner.items.push_back(simple_target(allow_namespace));
      if (!tokens_.skip_operator(",")) break;
      comma = true;
    }
    tokens_.expect_operator(")");
    if (inner.items.size() == 1 && !comma) {
      Target only = std::move(inner.items[0]);
      return only;
    }
    return inner;
  }
  if (tokens_.current().kind != Token::Kind::kName || is_constant_name(tokens_.current().text)) {
    syntax_error(line, fmt::format("can't assign to {}, expected a name", tokens_.current().describe()));
  }
  Target target;
  target.id = intern(tokens_.next().text);
  if (allow_namespace && tokens_.skip_operator(".")) {
    target.kind = Target::Kind::kNamespace;
    target.attribute = tokens_.expect_name().text;
    ast_.reads.insert(ast_.names[static_cast<size_t>(target.id)]);
  }
  return target;
}

Target ExpressionParser::target(std::string_view end_name, bool allow_namespace) {
  Target list;
  list.kind = Target::Kind::kTuple;
  bool comma = false;
  while (!at_tuple_end(end_name)) {
    list.items.push_back(simple_target(allow_namespace));
    if (!tokens_.skip_operator(",")) break;
    comma = true;
  }
  if (list.items.empty()) tokens_.fail_expected("a name to assign to");
  if (comma) return list;
  Target only = std::move(list.items[0]);
  return only;
}

Target ExpressionParser::name_target() {
  int line = tokens_.current().line;
  Token name = tokens_.expect_name();
  if (is_constant_name(name.text)) syntax_error(line, fmt::format("can't assign to '{}'", name.text));
  Target target;
  target.id = intern(name.text);
  return target;
}

}  // namespace hearth::text::jinja
