/** The network thread with mistakes in what nobody calls: a timer's and a promise's. */
import '../../../src-main/threads/network.thread.ts'

setTimeout(() => {
  throw new Error('in a timer')
}, 10)
setTimeout(() => void Promise.reject(new Error('in a promise')), 20)
