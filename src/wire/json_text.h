// JSON as text: a writer that puts commas, indentation and escapes in their places.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace dots::wire {

class JsonText {
 public:
  // `pretty`: one member per line, two spaces per level.
  explicit JsonText(bool pretty) : pretty_(pretty) {}

  void begin_object() { begin('{'); }
  void end_object() { end('}'); }
  void begin_array() { begin('['); }
  void end_array() { end(']'); }
  void key(std::string_view name);
  // REQUIRES: UTF-8.
  void string(std::string_view value);
  void number(std::uint64_t value) { raw(std::to_string(value)); }
  void boolean(bool value) { raw(value ? "true" : "false"); }
  // A number or literal that is already JSON.
  void raw(std::string_view value);
  std::string take() { return std::move(out_); }

 private:
  void begin(char bracket);
  void end(char bracket);
  void separate();
  void new_line();
  void quote(std::string_view value);

  std::string out_;
  bool pretty_;
  bool first_ = true;  // nothing stands in the open object or array yet
  bool after_key_ = false;
  std::size_t level_ = 0;
};

// 150 -> "1.50" (decimal64 with two fraction digits, RFC 7951 6.1)
std::string decimal_text(std::uint64_t hundredths);

}  // namespace dots::wire
