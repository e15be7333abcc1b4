// Bytes of a connection -> the answers of a server (RFC 9112), with every bound. No socket, no clock.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/bytes.h"
#include "ports/http.h"

namespace dots::adapters::http {

struct AnswerLimits {
  std::size_t header_bytes = 16384;
  std::size_t body_bytes = std::size_t{16} << 20;
};

struct ReadAnswer {
  ports::HttpAnswer answer;
  bool keep_alive = true;
};
struct BadAnswer {
  std::string why;
};

class AnswerReader {
 public:
  explicit AnswerReader(const AnswerLimits& limits);
  ~AnswerReader();
  AnswerReader(const AnswerReader&) = delete;
  AnswerReader& operator=(const AnswerReader&) = delete;

  // Before each request: an answer to HEAD has no body, whatever its length says.
  void expect(bool head_only);
  struct NeedMore {};
  using Outcome = std::variant<NeedMore, ReadAnswer, BadAnswer>;
  // The answer to what was expected last; interim answers (1xx) are passed over. Not to be called again after
  // BadAnswer.
  Outcome feed(base::ByteView bytes);
  // The connection is over: the end of an answer without a length, or nothing.
  Outcome end();

  bool begun() const;            // something of the answer is there
  std::size_t received() const;  // bytes of it, so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace dots::adapters::http
