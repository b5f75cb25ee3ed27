#include "text/template/parser.h"

#include <algorithm>

#include <fmt/format.h>

namespace hearth::text::jinja {
namespace {

using Kind = Token::Kind;

class StatementParser {
 public:
  StatementParser(std::vector<Token> tokens, Ast& ast)
      : tokens_(std::move(tokens)), expressions_(tokens_, ast), ast_(ast) {
    ast_.loop_id = expressions_.intern("loop");
    ast_.caller_id = expressions_.intern("caller");
    ast_.varargs_id = expressions_.intern("varargs");
    ast_.kwargs_id = expressions_.intern("kwargs");
  }

  void run() { ast_.body = statements({}); }

 private:
  using EndTags = std::vector<std::string_view>;
  using StmtPtr = std::unique_ptr<Stmt>;

  /// Statements up to one of the end tags, which stays the current token (behind its "{%").
  Body statements(const EndTags& ends) {
    ExpressionParser::Nesting nesting(expressions_);
    Body body;
    while (true) {
      const Token& token = tokens_.current();
      if (token.kind == Kind::kEnd) {
        if (!ends.empty()) fail_end(ends);
        return body;
      }
      if (token.kind == Kind::kData) {
        body.push_back(make(Stmt::Kind::kData));
        body.back()->text = tokens_.next().text;
      } else if (token.kind == Kind::kPrintBegin) {
        tokens_.next();
        body.push_back(make(Stmt::Kind::kPrint));
        body.back()->expr = expressions_.tuple();
        tokens_.expect(Kind::kPrintEnd, "end of print statement '}}'");
      } else {
        tokens_.next();
        if (is_end(ends)) return body;
        statement(body, ends);
        tokens_.expect(Kind::kBlockEnd, "end of statement block '%}'");
      }
    }
  }

  bool is_end(const EndTags& ends) const {
    return tokens_.current().kind == Kind::kName &&
           std::find(ends.begin(), ends.end(), tokens_.current().text) != ends.end();
  }

  /// The body of a block tag: from its "%}" up to an end tag.
  Body block(const EndTags& ends) {
    tokens_.skip_operator(":");
    tokens_.expect(Kind::kBlockEnd, "end of statement block '%}'");
    return statements(ends);
  }

  Body block_and_end(std::string_view end) {
    Body body = block({end});
    tokens_.next();
    return body;
  }

  [[noreturn]] void fail_end(const EndTags& ends) const {
    syntax_error(tokens_.current().line,
                 fmt::format("Unexpected end of template. Jinja was looking for the following tags: '{}'.",
                             fmt::join(ends, "' or '")));
  }

  StmtPtr make(Stmt::Kind kind) const {
    auto node = std::make_unique<Stmt>();
    node->kind = kind;
    node->line = tokens_.current().line;
    return node;
  }

  void statement(Body& body, const EndTags& ends) {
    Token tag = tokens_.current();
    if (tag.kind != Kind::kName) syntax_error(tag.line, "tag name expected");
    const std::string& name = tag.text;
    if (name == "if") return body.push_back(if_statement());
    if (name == "for") return body.push_back(for_statement());
    if (name == "set") return body.push_back(set_statement());
    if (name == "macro") return body.push_back(macro_statement());
    if (name == "call") return body.push_back(call_statement());
    if (name == "filter") return body.push_back(filter_statement());
    if (name == "with") return body.push_back(with_statement());
    if (name == "print") return print_statement(body);
    if (name == "break" || name == "continue") return body.push_back(loop_control(name == "break"));
    if (name == "generation") return body.push_back(generation_statement());
    if (name == "autoescape") return body.push_back(autoescape_statement());
    if (name == "block") return body.push_back(block_statement());
    if (name == "include" || name == "import" || name == "from" || name == "extends") {
      syntax_error(tag.line, fmt::format("'{}' needs another template file; a chat template must stand alone", name));
    }
    std::string message = fmt::format("Encountered unknown tag '{}'.", name);
    if (!ends.empty()) {
      message += fmt::format(" Jinja was looking for the following tags: '{}'.", fmt::join(ends, "' or '"));
    }
    syntax_error(tag.line, message);
  }

  /// Sets `expressions_.soft` while it lives.
  class Soft {
   public:
    Soft(ExpressionParser& parser, bool soft) : parser_(parser), before_(parser.soft) { parser.soft = soft; }
    ~Soft() { parser_.soft = before_; }

   private:
    ExpressionParser& parser_;
    bool before_;
  };

  StmtPtr if_statement() {
    StmtPtr node = make(Stmt::Kind::kIf);
    Soft soft(expressions_, true);
    bool more = true;
    while (more) {
      tokens_.next();  // if or elif
      ExprPtr condition = expressions_.tuple(false);
      node->arms.emplace_back(std::move(condition), block({"elif", "else", "endif"}));
      more = tokens_.current().is_name("elif");
    }
    if (tokens_.next().text == "else") node->otherwise = block_and_end("endif");
    return node;
  }

  StmtPtr for_statement() {
    StmtPtr node = make(Stmt::Kind::kFor);
    tokens_.next();
    node->target = expressions_.target("in", false);
    refuse_loop_target(node->target, node->line);
    tokens_.expect_keyword("in");
    node->expr = expressions_.tuple(false, "recursive");
    if (tokens_.skip_name("if")) node->condition = expressions_.expression();
    node->recursive = tokens_.skip_name("recursive");
    Soft soft(expressions_, false);
    ++loops_;
    ++fors_;
    node->body = block({"endfor", "else"});
    --loops_;
    if (tokens_.next().text == "else") node->otherwise = block_and_end("endfor");
    --fors_;
    return node;
  }

  void refuse_loop_target(const Target& target, int line) const {
    if (target.kind == Target::Kind::kName && target.id == ast_.loop_id) {
      syntax_error(line, "Can't assign to special loop variable in for-loop target");
    }
    for (const Target& item : target.items) refuse_loop_target(item, line);
  }

  StmtPtr set_statement() {
    StmtPtr node = make(Stmt::Kind::kSet);
    tokens_.next();
    node->target = expressions_.target({}, true);
    if (fors_ > 0) refuse_loop_target(node->target, node->line);
    if (tokens_.skip_operator("=")) {
      node->expr = expressions_.tuple();
      return node;
    }
    node->kind = Stmt::Kind::kSetBlock;
    if (tokens_.current().is_operator("|")) node->expr = expressions_.filters(nullptr, false);
    node->body = block_and_end("endset");
    return node;
  }

  void parameters(MacroDef& macro) {
    tokens_.expect_operator("(");
    bool defaults = false;
    while (!tokens_.current().is_operator(")")) {
      if (!macro.parameters.empty()) tokens_.expect_operator(",");
      Parameter parameter;
      parameter.name = tokens_.current().text;
      parameter.id = expressions_.name_target().id;
      if (tokens_.skip_operator("=")) {
        parameter.standard = expressions_.expression();
        defaults = true;
      } else if (defaults) {
        syntax_error(tokens_.current().line, "non-default argument follows default argument");
      }
      macro.parameters.push_back(std::move(parameter));
    }
    tokens_.expect_operator(")");
  }

  /// A body that becomes a function: loops around it end here, and it may read caller, varargs and kwargs.
  void function_body(MacroDef& macro, std::string_view end) {
    int loops_around = std::exchange(loops_, 0);
    std::set<std::string, std::less<>> reads_around = std::exchange(ast_.reads, {});
    Soft soft(expressions_, false);
    macro.body = block_and_end(end);
    macro.reads_caller = ast_.reads.contains("caller");
    macro.reads_varargs = ast_.reads.contains("varargs");
    macro.reads_kwargs = ast_.reads.contains("kwargs");
    for (const Parameter& parameter : macro.parameters) {
      macro.reads_varargs &= parameter.id != ast_.varargs_id;
      macro.reads_kwargs &= parameter.id != ast_.kwargs_id;
      if (macro.reads_caller && parameter.id == ast_.caller_id && !parameter.standard) {
        syntax_error(macro.line, "the special \"caller\" argument must be omitted or be given a default");
      }
    }
    ast_.reads.merge(reads_around);
    loops_ = loops_around;
  }

  StmtPtr macro_statement() {
    StmtPtr node = make(Stmt::Kind::kMacro);
    tokens_.next();
    node->macro.line = node->line;
    node->macro.name = tokens_.current().text;
    node->id = expressions_.name_target().id;
    parameters(node->macro);
    function_body(node->macro, "endmacro");
    return node;
  }

  StmtPtr call_statement() {
    StmtPtr node = make(Stmt::Kind::kCallBlock);
    tokens_.next();
    node->macro.line = node->line;
    if (tokens_.current().is_operator("(")) parameters(node->macro);
    node->expr = expressions_.expression();
    if (node->expr->kind != Expr::Kind::kCall) syntax_error(node->line, "expected call");
    function_body(node->macro, "endcall");
    return node;
  }

  StmtPtr filter_statement() {
    StmtPtr node = make(Stmt::Kind::kFilterBlock);
    tokens_.next();
    node->expr = expressions_.filters(nullptr, true);
    Soft soft(expressions_, false);
    node->body = block_and_end("endfilter");
    return node;
  }

  StmtPtr with_statement() {
    StmtPtr node = make(Stmt::Kind::kWith);
    tokens_.next();
    while (tokens_.current().kind != Kind::kBlockEnd) {
      if (!node->bindings.empty()) tokens_.expect_operator(",");
      Target target = expressions_.target({}, false);
      tokens_.expect_operator("=");
      ExprPtr value = expressions_.expression();
      node->bindings.emplace_back(std::move(target), std::move(value));
    }
    Soft soft(expressions_, false);
    node->body = block_and_end("endwith");
    return node;
  }

  void print_statement(Body& body) {
    tokens_.next();
    bool first = true;
    while (tokens_.current().kind != Kind::kBlockEnd) {
      if (!first) tokens_.expect_operator(",");
      first = false;
      body.push_back(make(Stmt::Kind::kPrint));
      body.back()->expr = expressions_.expression();
    }
  }

  StmtPtr loop_control(bool breaks) {
    StmtPtr node = make(breaks ? Stmt::Kind::kBreak : Stmt::Kind::kContinue);
    Token tag = tokens_.next();
    if (loops_ == 0) syntax_error(tag.line, fmt::format("'{}' outside a for loop", tag.text));
    return node;
  }

  StmtPtr generation_statement() {
    StmtPtr node = make(Stmt::Kind::kScope);
    tokens_.next();
    int loops_around = std::exchange(loops_, 0);  // the body is a function of its own
    Soft soft(expressions_, false);
    node->body = block_and_end("endgeneration");
    loops_ = loops_around;
    return node;
  }

  StmtPtr autoescape_statement() {
    StmtPtr node = make(Stmt::Kind::kScope);
    tokens_.next();
    ExprPtr enabled = expressions_.expression();
    if (enabled->kind != Expr::Kind::kConstant || enabled->value.truthy()) {
      syntax_error(node->line, "autoescape is not supported: a chat template makes plain text");
    }
    node->body = block_and_end("endautoescape");
    return node;
  }

  StmtPtr block_statement() {
    StmtPtr node = make(Stmt::Kind::kBlock);
    tokens_.next();
    std::string name = tokens_.expect_name().text;
    tokens_.skip_name("scoped");
    tokens_.skip_name("required");
    int loops_around = std::exchange(loops_, 0);
    Soft soft(expressions_, false);
    node->body = block_and_end("endblock");
    loops_ = loops_around;
    tokens_.skip_name(name);
    return node;
  }

  TokenStream tokens_;
  ExpressionParser expressions_;
  Ast& ast_;
  int loops_ = 0;  // for loops around this point that break and continue may leave
  int fors_ = 0;   // for statements around this point, across the macros in them
};

}  // namespace

Token TokenStream::next() {
  Token token = tokens_[pos_];
  if (pos_ + 1 < tokens_.size()) ++pos_;
  return token;
}

bool TokenStream::skip_name(std::string_view name) {
  if (!current().is_name(name)) return false;
  next();
  return true;
}

bool TokenStream::skip_operator(std::string_view op) {
  if (!current().is_operator(op)) return false;
  next();
  return true;
}

Token TokenStream::expect_name() {
  if (current().kind != Kind::kName) fail_expected("a name");
  return next();
}

void TokenStream::expect_keyword(std::string_view name) {
  if (!skip_name(name)) fail_expected(fmt::format("'{}'", name));
}

void TokenStream::expect_operator(std::string_view op) {
  if (!skip_operator(op)) fail_expected(fmt::format("'{}'", op));
}

void TokenStream::expect(Token::Kind kind, std::string_view description) {
  if (current().kind != kind) fail_expected(description);
  next();
}

void TokenStream::fail_expected(std::string_view expected) const {
  if (current().kind == Kind::kEnd) {
    syntax_error(current().line, fmt::format("unexpected end of template, expected {}", expected));
  }
  syntax_error(current().line, fmt::format("expected token {}, got {}", expected, current().describe()));
}

Ast parse_template(std::string_view source) {
  Ast ast;
  StatementParser(tokenize(source), ast).run();
  return ast;
}

}  // namespace hearth::text::jinja
