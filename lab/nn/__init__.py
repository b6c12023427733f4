"""Parts of networks that encoders and models of several families share."""
