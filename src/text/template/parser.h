// Tokens to the syntax tree. Throws Error{kInvalidArgument}: "line N: ..." with what was found and what was expected.
// Filters and tests that do not exist are refused here, except inside an `if`, where jinja2 refuses them only when
// they run.
#pragma once
#include <map>
#include <string_view>
#include <vector>

#include "text/template/ast.h"
#include "text/template/lexer.h"

namespace hearth::text::jinja {

Ast parse_template(std::string_view source);

/// A position in the token list and the words every part of the parser needs.
class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[pos_]; }
  const Token& look() const { return tokens_[std::min(pos_ + 1, tokens_.size() - 1)]; }
  Token next();
  bool skip_name(std::string_view name);
  bool skip_operator(std::string_view op);
  Token expect_name();
  void expect_keyword(std::string_view name);
  void expect_operator(std::string_view op);
  void expect(Token::Kind kind, std::string_view description);
  [[noreturn]] void fail_expected(std::string_view expected) const;

 private:
  std::vector<Token> tokens_;
  size_t pos_ = 0;
};

/// Expressions, from the loosest binding (inline if) to the tightest (postfix).
class ExpressionParser {
 public:
  ExpressionParser(TokenStream& tokens, Ast& ast) : tokens_(tokens), ast_(ast) {}

  ExprPtr expression(bool with_conditional = true);
  /// One expression, or a tuple when commas follow; `end_name` (such as "recursive") also ends it.
  ExprPtr tuple(bool with_conditional = true, std::string_view end_name = {}, bool in_parentheses = false);
  ExprPtr filters(ExprPtr operand, bool start_inline);
  Target target(std::string_view end_name, bool allow_namespace);
  Target name_target();
  NameId intern(std::string_view name);

  bool soft = false;  // inside an if: unknown filters and tests fail only when they run

  /// Statements nest through this too.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.depth_; }

   private:
    ExpressionParser& parser_;
  };

 private:
  ExprPtr conditional();
  ExprPtr disjunction();
  ExprPtr conjunction();
  ExprPtr negation();
  ExprPtr comparison();
  ExprPtr sum();
  ExprPtr concatenation();
  ExprPtr product();
  ExprPtr power();
  ExprPtr unary(bool with_filters = true);
  ExprPtr primary();
  ExprPtr list_literal();
  ExprPtr dict_literal();
  ExprPtr postfix(ExprPtr node);
  ExprPtr filters_and_tests(ExprPtr node);
  ExprPtr subscript(ExprPtr node);
  ExprPtr subscripted();
  ExprPtr call(ExprPtr node);
  ExprPtr test(ExprPtr node);
  std::string dotted_name();
  void arguments(Expr& node);
  void one_argument(Expr& node);
  Target simple_target(bool allow_namespace);

  ExprPtr make(Expr::Kind kind, int line, std::vector<ExprPtr> items = {});
  ExprPtr binary(std::string op, int line, ExprPtr left, ExprPtr right);
  ExprPtr finish(ExprPtr node) const;
  bool at_tuple_end(std::string_view end_name) const;

  TokenStream& tokens_;
  Ast& ast_;
  std::map<std::string, NameId, std::less<>> ids_;
  int depth_ = 0;
};

}  // namespace hearth::text::jinja
