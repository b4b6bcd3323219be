export * as objects from './generated/naru/api/v1/objects';
