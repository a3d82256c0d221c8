/** The network thread with mistakes in what nobody calls, a timer's and a promise's; then it says so on the channel `faulty-network`. */
import '../../../src-main/threads/network.thread.ts'

setTimeout(() => {
  throw new Error('in a timer')
}, 10)
setTimeout(() => void Promise.reject(new Error('in a promise')), 20)
setTimeout(() => {
  const channel = new BroadcastChannel('faulty-network')
  channel.postMessage('mistaken')
  channel.close()
}, 30)
