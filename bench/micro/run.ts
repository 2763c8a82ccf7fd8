// npm run bench: small parts of the data path, each on its own. A word in the arguments runs the tasks with that word.
import { Bench } from 'tinybench'
import { addMatching } from './matching.ts'
import { addReading } from './reading.ts'
import { addRouting } from './routing.ts'

const words = process.argv.slice(2)
const bench = new Bench({ time: 500, warmupTime: 100 })
addReading(bench)
addRouting(bench)
addMatching(bench)
for (const { name } of bench.tasks) {
  if (words.length > 0 && !words.some(word => name.includes(word))) bench.remove(name)
}
await bench.run()
console.table(
  bench.tasks.map(({ name, result }) => {
    if (result.state !== 'completed') return { task: name, 'ns (median)': result.state }
    const { latency } = result
    return {
      task: name,
      'ns (median)': Math.round(latency.p50 * 1e6),
      'ns (p99)': Math.round(latency.p99 * 1e6),
      'per second': Math.round(1000 / latency.p50),
    }
  }),
)
if (bench.tasks.some(({ result }) => result.state !== 'completed')) process.exitCode = 1
