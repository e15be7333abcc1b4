// A callable that is moved, never copied: what one thread hands to another.
#pragma once

#include <concepts>
#include <memory>
#include <utility>

namespace dots::adapters::net {

class Task {
 public:
  Task() = default;
  template <class F>
  requires(!std::same_as<F, Task> && std::invocable<F&>) Task(F call)
      : call_(std::make_unique<Holder<F>>(std::move(call))) {}

  explicit operator bool() const { return call_ != nullptr; }
  void operator()() { call_->run(); }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual void run() = 0;
  };
  template <class F>
  struct Holder final : Base {
    explicit Holder(F call) : call_(std::move(call)) {}
    void run() override { call_(); }
    F call_;
  };
  std::unique_ptr<Base> call_;
};

}  // namespace dots::adapters::net
