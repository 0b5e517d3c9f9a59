# Enqueues jobs with Sidekiq. Usage: ruby enqueue.rb URL QUEUE
# It prints the ids as a JSON array; see enqueue.py.
require "json"
require "sidekiq"

url, queue = ARGV
Sidekiq.configure_client { |config| config.redis = { url: url } }

def push(queue, args, **more)
  Sidekiq::Client.push({ "class" => "Send", "queue" => queue, "args" => args }.merge(more.transform_keys(&:to_s)))
end

later = Time.now.to_f + 3600
ids = [
  push(queue, ["ä", 1.1, 12345678901234567890]),
  push(queue, [2], retry: 4),
  push(queue, [3], retry: false),
  push(queue, [4], at: later),
]
push("another", [5], at: later)
puts JSON.generate(ids)
