"""Google's own REST APIs, as gcloud and the google-cloud-* clients speak them."""
