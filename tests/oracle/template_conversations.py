"""Conversations every chat template is rendered with: what servers really pass, and what trips templates."""

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Weather of a city, \"now\" & later",
    "parameters": {"type": "object", "required": ["city"], "properties": {
        "city": {"type": "string", "description": "Name of the city"},
        "days": {"type": "integer", "default": 3, "minimum": 1},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
        "where": {"type": "object", "properties": {"lat": {"type": "number"}, "tags": {"type": "array", "items": {
            "type": "string"}}}}}},
    "return": {"type": "string"}}}
CLOCK = {"type": "function", "function": {
    "name": "clock", "description": "The time", "parameters": {"type": "object", "properties": {}}}}
ANY_OF = {"type": "function", "function": {
    "name": "search", "description": "Looks <things> up\nover two lines", "parameters": {"type": "object", "properties": {
        "query": {"type": ["string", "null"], "description": "größe 世界"},
        "filter": {"anyOf": [{"type": "string"}, {"type": "integer"}]}}, "required": []}}}
TOOLS = [WEATHER, CLOCK, ANY_OF]


def system(text="You are helpful."):
    return {"role": "system", "content": text}


def user(content="Hello, who are you?"):
    return {"role": "user", "content": content}


def assistant(content="I am a model.", **more):
    return {"role": "assistant", "content": content, **more}


def call(arguments, content=None, name="get_weather", identity="call12345"):
    return assistant(content, tool_calls=[{"id": identity, "type": "function",
                                           "function": {"name": name, "arguments": arguments}}])


def result(content='{"temp": 21.5}', **more):
    return {"role": "tool", "name": "get_weather", "tool_call_id": "call12345", "content": content, **more}


def parts(*texts):
    return [{"type": "text", "text": text} for text in texts]


PARIS = {"city": "Paris", "days": 2, "exact": True, "note": None, "ratio": 0.5, "where": {"lat": 1.0, "tags": ["a", "ü"]}}
PARIS_TEXT = '{"city": "Paris", "days": 2}'
TURNS = [user("One?"), assistant("1"), user("Two?"), assistant("2"), user("Three?")]

# name -> (messages, further variables)
CONVERSATIONS = {
    "user only": ([user()], {}),
    "user, no prompt": ([user()], {"add_generation_prompt": False}),
    "system": ([system(), user()], {}),
    "turns": ([system(), *TURNS], {}),
    "turns, ends with assistant": ([*TURNS, assistant("3")], {"add_generation_prompt": False}),
    "tools": ([system(), user("Weather?")], {"tools": TOOLS}),
    "tools, no system": ([user("Weather?")], {"tools": [WEATHER]}),
    "empty tools": ([user()], {"tools": []}),
    "tool call": ([user("Weather?"), call(PARIS)], {"tools": TOOLS, "add_generation_prompt": False}),
    "tool result": ([system(), user("Weather?"), call(PARIS), result()], {"tools": TOOLS}),
    "tool result, text arguments": ([user("Weather?"), call(PARIS_TEXT, ""), result()], {"tools": TOOLS}),
    "tool call with content": ([user("Weather?"), call(PARIS, "Let me look."), result(), assistant("21.5 degrees"),
                                user("Thanks")], {"tools": [WEATHER]}),
    "two calls": ([user("Both?"), assistant("", tool_calls=[
        {"id": "call00001", "type": "function", "function": {"name": "get_weather", "arguments": PARIS}},
        {"id": "call00002", "type": "function", "function": {"name": "clock", "arguments": {}}}]),
        result(tool_call_id="call00001"), result("12:00", name="clock", tool_call_id="call00002"),
        assistant("Noon, 21.5"), user("And now?")], {"tools": TOOLS}),
    "tool result without tools": ([user("Weather?"), call(PARIS), result({"temp": 21}), assistant("ok")], {}),
    "result as parts": ([user("Weather?"), call(PARIS), result(parts("21", "22"))], {"tools": [WEATHER]}),
    "reasoning": ([user("Hard?"), assistant("Yes.", reasoning_content="Let me think.\nDone."), user("Sure?")], {}),
    "reasoning, tools": ([user("Weather?"), call(PARIS) | {"reasoning_content": "I need the tool."}, result()],
                         {"tools": [WEATHER]}),
    "reasoning in content": ([user("Hard?"), assistant("<think>\nhm\n</think>\n\nYes."), user("Sure?")], {}),
    "thinking field": ([user("Hard?"), assistant("Yes.", thinking="hm"), user("Sure?")], {}),
    "enable thinking": ([system(), user()], {"enable_thinking": True}),
    "disable thinking": ([system(), user()], {"enable_thinking": False}),
    "thinking, tools off": ([system(), *TURNS], {"enable_thinking": False, "thinking": False, "tools": [CLOCK]}),
    "thinking on": ([system(), *TURNS], {"thinking": True, "reasoning_effort": "high"}),
    "content parts": ([{"role": "system", "content": parts("Be brief.")}, user(parts("Look", " here"))], {}),
    "image part": ([user([{"type": "image"}, {"type": "text", "text": "What is it?"}])], {}),
    "image url": ([user([{"type": "text", "text": "Two:"}, {"type": "image_url", "image_url": {"url": "http://x/y.png"}}])],
                  {}),
    "unicode": ([system("Grüße 👋🏽"), user("日本語 \u00a0 <b>&amp;</b> \u2028 'quoted' \"too\"")], {}),
    "white space": ([system("  padded  "), user("\n\nlines\n\n"), assistant("  \n"), user("\tx ")], {}),
    "empty content": ([user(""), assistant(""), user("x")], {}),
    "null content": ([user("x"), assistant(None), user("y")], {}),
    "developer": ([{"role": "developer", "content": "Be terse."}, user()], {}),
    "developer and tools": ([{"role": "developer", "content": "Be terse."}, user()], {"tools": TOOLS}),
    "unknown role": ([{"role": "critic", "content": "Hm."}, user()], {}),
    "system later": ([user("a"), system("now be kind"), user("b")], {}),
    "two users": ([user("a"), user("b")], {}),
    "assistant first": ([assistant("hi"), user("a")], {}),
    "no messages": ([], {}),
    "special tokens in text": ([user("<|im_end|> <|eot_id|> [INST] </s> <think>")], {}),
    "long chat": ([system()] + [m for i in range(12) for m in (user(f"q{i}"), assistant(f"a{i}"))] + [user("end")], {}),
    "documents": ([user("Find it")], {"documents": [{"title": "T", "text": "Body", "doc_id": 1}]}),
    "flags": ([system(), user()], {"custom_tools": [WEATHER], "builtin_tools": ["code_interpreter"], "date_string":
                                   "01 Jan 2025", "tools_in_user_message": False}),
    "tool choice": ([user()], {"tools": [WEATHER], "tool_choice": "required", "parallel_tool_calls": False}),
}
