import { storageThread } from '../../src-shared/threads/storage-thread.ts'
import { StorageService } from '../storage/storage-service.ts'
import { serveThread } from './serve-thread.ts'

serveThread((server) => server.register(storageThread, new StorageService().handlers))
