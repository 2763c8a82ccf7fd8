import { oneLine } from '../text.ts'
import type { View } from './view.ts'

/** A view as one line of `key=value` pairs, for programs. Rates are per second. */
export function plainLine(view: View, now: Date): string {
  const { snapshot, rates, loopDelay } = view
  const { clients, messages, queues, store, rules, process: taken } = snapshot
  const topic = view.topics[0]
  const slow = view.slow[0]
  const pairs: readonly (readonly [key: string, value: string | number | null])[] = [
    ['time', now.toISOString()],
    ['version', view.version],
    ['uptime_s', Math.floor(view.uptimeSeconds)],
    ['cpu_percent', rounded(view.cpuPercent)],
    ['rss_bytes', taken.rssBytes],
    ['loop_late_ms', rounded(loopDelay?.meanMs ?? null)],
    ['loop_late_max_ms', rounded(loopDelay?.maxMs ?? null)],
    ['clients', clients.connected],
    ['sessions', clients.sessions],
    ['subscriptions', snapshot.subscriptions],
    ['messages_in', rounded(rates?.messagesIn ?? null)],
    ['messages_out', rounded(rates?.messagesOut ?? null)],
    ['bytes_in', rounded(rates?.bytesIn ?? null)],
    ['bytes_out', rounded(rates?.bytesOut ?? null)],
    ['drops', rounded(rates?.dropped ?? null)],
    ['dropped_total', view.dropped],
    ['queued', queues.messages],
    ['queued_bytes', queues.bytes],
    ['unacknowledged', queues.unacknowledged],
    ['retained', messages.retained],
    ['store', store === null ? 'memory' : store.alarm],
    ['store_bytes', store?.bytes ?? null],
    ['rules', rules.count],
    ['forwards', rounded(rates?.forwarded ?? null)],
    ['topic', topic === undefined ? null : topic.item.topic],
    ['topic_messages', rounded(topic?.rate ?? null)],
    ['slowest', slow === undefined ? null : slow.id],
    ['slowest_queued', slow?.queued ?? null],
  ]
  return pairs.map(([key, value]) => `${key}=${typeof value === 'string' ? quoted(value) : (value ?? '-')}`).join(' ')
}

function rounded(value: number | null): number | null {
  return value === null ? null : Math.round(value * 10) / 10
}

/** In quotes when it would not read as one word. */
function quoted(text: string): string {
  const shown = oneLine(text)
  return text === '' || text === '-' || /[\s"=\\]/u.test(shown)
    ? JSON.stringify(text).replace(/[^ -~]/gu, oneLine)
    : shown
}
