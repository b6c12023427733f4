"""Lightning's Trainer and the callbacks that run while a model trains. They know no settings and no class of model."""
