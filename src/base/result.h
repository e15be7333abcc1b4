// Results: a value, or an Error that says what went wrong.
//
// Expected failures (bad input, refused requests, an unreachable back end) travel as values; "cannot happen" asserts.
// Result<T> is std::expected in the C++20 that Debian 12's compilers share; it can be replaced by it one day.
#pragma once

#include <cassert>
#include <string>
#include <utility>
#include <variant>

namespace dots::base {

// What went wrong, in one sentence that a person can act on: lower case, no full stop, names the offending value.
struct Error {
  std::string message;

  friend bool operator==(const Error&, const Error&) = default;
};

template <class T, class E = Error>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  // REQUIRES: ok().
  T& value() & { return assert(ok()), std::get<0>(state_); }
  const T& value() const& { return assert(ok()), std::get<0>(state_); }
  T&& value() && { return assert(ok()), std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

  // REQUIRES: !ok().
  const E& error() const { return assert(!ok()), std::get<1>(state_); }

 private:
  std::variant<T, E> state_;
};

template <class E>
class [[nodiscard]] Result<void, E> {
 public:
  Result() = default;
  Result(E error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const E& error() const { return assert(!ok()), std::get<1>(state_); }

 private:
  std::variant<std::monostate, E> state_;
};

}  // namespace dots::base
